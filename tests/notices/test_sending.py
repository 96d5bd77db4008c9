"""Notices reach their receivers, whatever those do, and whatever interrupts us."""

import json
import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.conf import settings as current
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone

from accounts import actions as account_actions
from conductor.loop import free_leases
from core import changes
from notices import actions
from notices.models import Notice
from pipelines import actions as pipeline_actions
from releases.models import Release
from tests.factories import make_release
from tests.notices.conftest import channel, until, url_of
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def fail(app, by, reason="The release command exited with 1."):
    """A release that has failed, told of as its job tells."""
    release = make_release(app, by=by, status="failed", current=False)
    Release.objects.filter(pk=release.pk).update(reason=reason)
    release.refresh_from_db()
    changes.note(changes.Change(release, by=by, app_id=app.pk))
    return release


@pytest.fixture
def staging(shop):
    return shop.couplings.get(app__name="shop-staging").app


def test_a_channel_is_told_and_the_author_is_mailed(shop, staging, alice, bob, receiver, herald):
    channel(shop, alice, f"{receiver.url}/services/x")
    release = fail(staging, bob)
    until(lambda: Notice.objects.filter(status="succeeded").count() == 2, herald())
    (got,) = receiver.received
    notice = Notice.objects.get(channel__isnull=False)
    told = json.loads(got.body)
    assert got.path == "/services/x" and got.headers["slipway-notice"] == str(notice.pk)
    assert f"v{release.version} of shop-staging failed" in told["text"]
    assert "The release command exited with 1." in told["blocks"][0]["text"]["text"]
    (letter,) = mail.outbox
    assert letter.to == ["bob@example.com"] and "shop-staging failed" in letter.subject
    assert url_of(f"/apps/shop-staging/releases/{release.version}/") in letter.body
    assert str(Notice.objects.get(user=bob).pk) in letter.extra_headers["Message-ID"]


def test_the_same_is_told_once(shop, staging, alice, receiver):
    channel(shop, alice, receiver.url)
    release = fail(staging, alice)
    changes.note(changes.Change(release, by=alice, app_id=staging.pk))
    assert Notice.objects.filter(channel__isnull=False).count() == 1
    assert Notice.objects.filter(user=alice).count() == 1


def test_what_is_undone_is_not_told(shop, staging, alice, receiver):
    channel(shop, alice, receiver.url)
    with pytest.raises(RuntimeError), transaction.atomic():
        fail(staging, alice)
        raise RuntimeError
    assert not Notice.objects.exists()


def test_who_may_not_see_it_any_more_is_not_told(shop, staging, team, alice, bob, herald):
    fail(staging, bob)
    account_actions.remove_member(team, bob, by=alice)
    until(lambda: Notice.objects.get(user=bob).status == "skipped", herald())
    assert Notice.objects.get(user=bob).reason == "They may not see it any more."
    assert not mail.outbox


def test_an_app_that_left_the_pipeline_is_not_told_of_there(shop, staging, alice, bob, receiver, herald):
    channel(shop, alice, receiver.url)
    fail(staging, bob)
    pipeline_actions.uncouple(staging.coupling, by=alice)
    until(lambda: Notice.objects.get(channel__isnull=False).status == "skipped", herald())
    assert not receiver.received


def test_people_hear_what_they_asked_for(shop, staging, alice, bob, charlie, vera, receiver):
    actions.prefer(vera, None, email=True, events=["release-failed"], summary=False, by=vera)
    actions.prefer(charlie, None, email=True, events=["release-failed"], summary=False, by=charlie)
    actions.prefer(bob, shop, email=False, events=[], summary=False, by=bob)
    fail(staging, bob)
    assert {notice.user for notice in Notice.objects.all()} == {vera}


def test_what_one_says_of_a_pipeline_goes_before_what_one_says_of_all(shop, staging, alice, vera):
    actions.prefer(vera, None, email=True, events=["release-failed"], summary=False, by=vera)
    actions.prefer(vera, shop, email=True, events=[], summary=False, by=vera)
    fail(staging, None)
    assert not Notice.objects.exists()


def test_without_a_mail_server_nobody_is_mailed(shop, staging, alice, settings):
    settings.MAIL = False
    fail(staging, alice)
    assert not Notice.objects.exists()


@pytest.mark.parametrize("answers", [[500, 503, 200], ["hang", 200], ["garbage", 200], [429, 200]])
def test_it_is_tried_again(shop, staging, alice, receiver, herald, answers):
    receiver.answers = list(answers)
    told = channel(shop, alice, receiver.url)
    fail(staging, None)
    until(lambda: Notice.objects.get().status == "succeeded", herald(), 20)
    told.refresh_from_db()
    assert len(receiver.received) == len(answers)
    assert len({got.headers["slipway-notice"] for got in receiver.received}) == 1
    assert told.error == "" and told.failures == 0 and told.told_at


def test_a_refusal_for_good_is_shown_and_not_repeated(shop, staging, alice, receiver, herald):
    receiver.status = 404
    told = channel(shop, alice, receiver.url)
    fail(staging, None)
    until(lambda: Notice.objects.get().status == "failed", herald())
    told.refresh_from_db()
    assert told.error == "It answered 404." and len(receiver.received) == 1


def test_redirects_and_internal_addresses_are_not_followed(shop, staging, alice, receiver, herald, settings):
    elsewhere = Receiver()
    receiver.status = f"{elsewhere.url}/secret"
    channel(shop, alice, receiver.url)
    fail(staging, None)
    until(lambda: Notice.objects.get().status == "failed", herald())
    assert not elsewhere.received
    elsewhere.stop()
    settings.OUTBOUND_ALLOW = []
    with pytest.raises(Exception, match="internal address"):
        channel(shop, alice, receiver.url, name="other")
    fail(staging, None)
    until(lambda: not Notice.objects.filter(status__in=["pending", "running"]).exists(), herald())
    assert len(receiver.received) == 1  # what was allowed once is judged again at each sending


def test_one_that_hangs_delays_nobody(shop, staging, alice, receiver, herald, settings):
    settings.WEBHOOK_SECONDS = 5
    slow = Receiver()
    slow.status = "hang"
    for n in range(3):
        channel(shop, alice, slow.url, name=f"slow {n}")
    channel(shop, alice, receiver.url)
    fail(staging, alice)
    began = time.monotonic()
    until(lambda: Notice.objects.filter(status="succeeded").count() == 2, herald())
    assert time.monotonic() - began < 3
    slow.stop()


def test_news_that_is_old_is_given_up(shop, staging, alice, receiver, herald):
    receiver.status = 500
    channel(shop, alice, receiver.url)
    fail(staging, None)
    Notice.objects.update(created_at=timezone.now() - timedelta(hours=25))
    until(lambda: Notice.objects.get().status == "failed", herald())
    assert Notice.objects.get().reason == "It answered 500."


def test_a_channel_that_is_removed_is_told_nothing(shop, staging, alice, receiver, herald):
    told = channel(shop, alice, receiver.url)
    fail(staging, None)
    actions.remove_channel(told, by=alice)
    herald().look()
    assert not Notice.objects.exists() and not receiver.received


def test_a_test_message_gets_there(shop, alice, receiver, herald):
    receiver.answers = [500]
    told = channel(shop, alice, receiver.url)
    actions.test_channel(told, by=alice)
    until(lambda: len(receiver.received) == 2, herald())
    assert "#releases is told of shop" in json.loads(receiver.received[-1].body)["text"]


@pytest.mark.parametrize(("point", "received"), [("notice.claimed", 1), ("notice.sent", 2)])
def test_a_conductor_that_is_killed_loses_nothing(shop, staging, alice, receiver, herald, point, received):
    told = channel(shop, alice, receiver.url)
    fail(staging, None)
    code = (
        "import django; django.setup(); from conductor import notices; from notices.models import Notice; "
        f"Notice.objects.count(); notices.Notices()._turn('{told.pk}')"
    )
    died = subprocess.run(
        [sys.executable, "-c", code], env=_environment(point), capture_output=True, timeout=60
    )
    assert died.returncode == -9, died.stderr.decode()
    assert Notice.objects.get().status == "running"
    free_leases()
    until(lambda: Notice.objects.get().status == "succeeded", herald())
    assert len(receiver.received) == received
    assert len({got.headers["slipway-notice"] for got in receiver.received}) == 1


def _environment(point):
    name = connection.settings_dict["NAME"]
    url = os.environ.get("TEST_DATABASE_URL", "")
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"{url.rpartition('/')[0]}/{name}" if url else f"sqlite:///{name}",
        "SLIPWAY_DATA": str(current.DATA),
        "SLIPWAY_KEYS": ",".join(current.SLIPWAY_KEYS),
        "SLIPWAY_OUTBOUND_ALLOW": "127.0.0.1",
        "FAILPOINTS": f"{point}=kill",
    }
