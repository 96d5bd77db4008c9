"""A whole conductor sends notices as soon as they are written, and looks at what was pushed."""

import pytest

from blueprints.models import Proposal
from conductor.loop import Conductor
from notices.models import Notice
from releases.models import Release
from tests.conductor.conftest import data as data
from tests.conductor.conftest import platform as platform
from tests.conductor.conftest import stage as stage
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline, make_release
from tests.factories import stage as stage_of
from tests.notices.conftest import channel

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_goes_wrong_is_told_at_once(platform, alice, receiver):
    assert isinstance(platform.conductor, Conductor)
    pipeline = make_pipeline("shop", owner=alice)
    app = make_app("shop-dev", owner=alice, stage=stage_of(pipeline, "development"))
    channel(pipeline, alice, receiver.url, told=["release-failed"])
    release = platform.deploy(app, alice, release="exit 7", web="exec sleep 100")
    got = eventually(lambda: receiver.received, 20)
    assert b"v2 of shop-dev failed" in got[0].body or b"v1 of shop-dev failed" in got[0].body
    assert Release.objects.get(pk=release.pk).status == "failed"
    eventually(lambda: Notice.objects.get(channel__isnull=False).status == "succeeded")


def test_what_was_pushed_is_looked_at(platform, alice):
    pipeline = make_pipeline("shop", owner=alice)
    make_release(make_app("shop-dev", owner=alice, stage=stage_of(pipeline, "development")))
    row = Proposal.objects.create(pipeline=pipeline, commit="a" * 40, branch="main")
    platform.conductor.nudge()
    eventually(lambda: Proposal.objects.get(pk=row.pk).state == "nothing", 20)
