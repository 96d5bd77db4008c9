"""What the auditor finds wrong with lines."""

from datetime import timedelta

import pytest
from django.utils import timezone

from conductor import audit_flow
from flow import actions
from flow.models import Line, Passage, Watch
from pipelines import actions as pipeline_actions
from releases.models import Release

pytestmark = pytest.mark.django_db


@pytest.fixture
def passage(line, staging, alice):
    release = Release.objects.current_for(staging)
    actions.add_gate(line, "approval", {}, by=alice)
    return Passage.objects.create(line=line, source=staging, slug=release.slug, release=release)


def test_all_is_well(passage):
    assert list(audit_flow.once()) == list(audit_flow.looked_at()) == []


def test_a_passage_that_nobody_looks_at(passage):
    Passage.objects.update(look_at=timezone.now() - timedelta(minutes=2))
    (found,) = audit_flow.looked_at()
    assert found.promise == "I-15" and "nobody looked" in found.message


def test_a_promotion_that_is_two_passages(passage, staging, production, alice):
    promotion = pipeline_actions.promote(
        staging.coupling, [production.coupling], by=alice, automatic=True, override="for this test"
    )
    Passage.objects.update(promotion=promotion)
    assert "waits still" in next(audit_flow.once()).message
    Passage.objects.update(state="promoted")
    Passage.objects.create(
        line=passage.line,
        source=staging,
        slug=passage.slug,
        release=passage.release,
        state="promoted",
        promotion=promotion,
    )
    (found,) = audit_flow.once()
    assert "several passages" in found.message


def test_a_watch_that_never_ends(line, production):
    release = Release.objects.current_for(production)
    past = timezone.now() - timedelta(minutes=5)
    Watch.objects.create(line=line, app=production, release=release, until=past)
    (found,) = audit_flow.looked_at()
    assert "has not ended" in found.message


def test_a_line_that_nobody_looks_at(line):
    Line.objects.update(stale=True)
    assert [found.promise for found in audit_flow.stale()] == ["I-15"]
