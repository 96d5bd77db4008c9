"""Which build comes next (promise I-17)."""

import pytest

from releases import actions
from releases.models import Build
from tests.factories import make_app, make_source


@pytest.mark.promise("I-17")
def test_a_backlog_of_one_owner_does_not_hold_up_another(alice, bob):
    for _ in range(3):
        app = make_app(owner=alice)
        actions.create_build(app, make_source(app), by=alice)
    late = make_app("late", owner=bob)
    actions.create_build(late, make_source(late), by=bob)
    first, second = Build.objects.claim(), Build.objects.claim()
    assert (first.by, second.by) == (alice, bob)


def test_builds_of_one_app_take_turns(alice):
    app = make_app(owner=alice)
    older, newer = (actions.create_build(app, make_source(app), by=alice) for _ in range(2))
    assert Build.objects.claim() == older
    assert Build.objects.claim() is None
    Build.objects.filter(pk=older.pk).update(status="failed")
    assert Build.objects.claim() == newer
