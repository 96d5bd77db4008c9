"""Webhooks reach their receivers, whatever those do, and whatever interrupts us."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.conf import settings as current
from django.db import connection
from django.utils import timezone

from apps import actions as app_actions
from conductor import deliveries
from conductor.deliveries import Deliveries
from conductor.loop import free_leases
from hooks.actions import add_webhook, remove_webhook
from hooks.models import Delivery, News, Webhook
from tests.conftest import eventually
from tests.factories import make_app, make_release
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    settings.WEBHOOK_SECONDS, settings.WEBHOOK_RETRY_SECONDS = 0.5, 0.05


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def app(transactional_db, alice):
    return make_app("shop", owner=alice)


@pytest.fixture
def courier(transactional_db):
    """Delivers, as the conductor does: looks again and again."""
    running = []

    def start():
        found = Deliveries()
        found.start()
        running.append(found)
        return found

    yield start
    for one in running:
        one.stop()


def hook(app, by, url, level="notify", include=("api:app",), **extra):
    return add_webhook(app, include=list(include), level=level, url=url, by=by, **extra)


def until(check, courier, seconds=10):
    def look():
        courier.look()
        return check()

    return eventually(look, seconds)


def toggle(app, by, times=1):
    for _ in range(times):
        app_actions.set_maintenance(app, not app.maintenance, by=by)


@pytest.mark.promise("I-42")
def test_it_is_signed_and_says_what_happened(app, alice, receiver, courier):
    made = hook(app, alice, f"{receiver.url}/hooks?a=b", secret="hush", authorization="Bearer mine")
    toggle(app, alice)
    until(lambda: Delivery.objects.get().status == "succeeded", courier())
    (got,) = receiver.received
    assert got.path == "/hooks?a=b"
    wanted = base64.b64encode(hmac.new(b"hush", got.body, hashlib.sha256).digest()).decode()
    assert got.headers["heroku-webhook-hmac-sha256"] == wanted
    assert got.headers["authorization"] == "Bearer mine"
    assert got.headers["content-type"] == "application/json"
    told, delivery = json.loads(got.body), Delivery.objects.get()
    assert (told["action"], told["resource"], told["sequence"]) == ("update", "app", News.objects.get().seq)
    assert told["data"]["maintenance"] is True and told["previous_data"] == {"maintenance": False}
    assert told["actor"] == {"id": str(alice.pk), "email": "alice@example.com"}
    assert told["version"] == "application/vnd.heroku+json; version=3"
    assert told["webhook_metadata"]["delivery"] == {"id": str(delivery.pk)}
    assert told["webhook_metadata"]["webhook"] == {"id": str(made.pk)}
    assert told["webhook_metadata"]["event"] == {"id": told["id"], "include": "api:app"}
    assert delivery.last_attempt["code"] == 200


def test_only_what_is_included_is_told(app, alice, receiver, courier):
    hook(app, alice, receiver.url, include=["api:release"])
    toggle(app, alice)
    make_release(app, by=alice)
    until(lambda: receiver.received, courier())
    assert [json.loads(got.body)["resource"] for got in receiver.received] == ["release"]
    assert News.objects.count() == 1


def test_what_is_undone_is_not_told(app, alice, receiver):
    hook(app, alice, receiver.url)
    app_actions.create_app("taken", owner=alice, by=alice)
    with pytest.raises(Exception, match="taken"):
        app_actions.rename_app(app, "taken", by=alice)
    assert not News.objects.exists()


def test_a_sync_webhook_is_told_in_order_until_it_takes_it(app, alice, receiver, courier):
    hook(app, alice, receiver.url, level="sync")
    receiver.answers = [500, 404, 500, 302]
    toggle(app, alice, 3)
    until(lambda: Delivery.objects.filter(status="succeeded").count() == 3, courier())
    places = [json.loads(got.body)["sequence"] for got in receiver.received]
    first = places[0]
    assert places == [first] * 5 + [first + 1, first + 2]
    ids = {json.loads(got.body)["webhook_metadata"]["delivery"]["id"] for got in receiver.received[:5]}
    assert len(ids) == 1  # stable, so that receivers can tell a repetition
    assert Delivery.objects.get(news=first).attempts == 5


def test_a_notify_webhook_goes_on_past_what_fails_and_gives_up(app, alice, receiver, courier, settings):
    hook(app, alice, receiver.url)
    settings.WEBHOOK_RETRY_SECONDS = 0.2
    receiver.answers = [500]
    toggle(app, alice, 2)
    until(lambda: Delivery.objects.filter(status="succeeded").count() == 2, courier())
    places = [json.loads(got.body)["sequence"] for got in receiver.received]
    assert places[1] == places[0] + 1
    receiver.status = 500
    toggle(app, alice)
    until(lambda: Delivery.objects.filter(status="failed").exists(), courier())
    lost = Delivery.objects.get(status="failed")
    assert (lost.attempts, lost.last_attempt["code"], lost.word) == (4, 500, "failed")


def test_sync_gives_up_after_three_days(app, alice, receiver):
    hook(app, alice, receiver.url, level="sync")
    toggle(app, alice)
    delivery, now = Delivery.objects.get(), timezone.now()
    assert deliveries.pause_after(delivery, now) == pytest.approx(0.05)
    delivery.attempts = 30
    assert deliveries.pause_after(delivery, now + timedelta(hours=71)) == 3600
    assert deliveries.pause_after(delivery, now + timedelta(hours=73)) is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [("hang", "TimeoutError"), ("drip", "TimeoutError"), ("garbage", "BadStatusLine")],
)
def test_receivers_that_do_not_answer(app, alice, receiver, courier, answer, error):
    hook(app, alice, receiver.url)
    receiver.answers = [answer]
    toggle(app, alice)
    began, running = time.monotonic(), courier()
    until(lambda: Delivery.objects.get().attempts == 1, running)
    assert time.monotonic() - began < 3
    delivery = Delivery.objects.get()
    assert (delivery.last_attempt["code"], delivery.last_attempt["error_class"]) == (None, error)
    assert delivery.word == "retrying"
    assert Webhook.objects.get().rests_until is not None
    until(lambda: Delivery.objects.get().status == "succeeded", running)
    assert Webhook.objects.get().failures == 0


def test_an_answer_without_end_is_not_read(app, alice, receiver, courier):
    hook(app, alice, receiver.url)
    receiver.answers = ["endless"]
    toggle(app, alice)
    until(lambda: Delivery.objects.get().status == "succeeded", courier())
    assert receiver.over.wait(5) and receiver.sent < 50 * 2**20


@pytest.mark.promise("I-41")
def test_a_redirect_is_not_followed(app, alice, receiver, courier):
    inside = Receiver()
    hook(app, alice, receiver.url)
    receiver.answers = [f"{inside.url}/secret"]
    toggle(app, alice)
    until(lambda: Delivery.objects.get().status == "succeeded", courier())
    assert len(receiver.received) == 2 and not inside.received
    inside.stop()


@pytest.mark.promise("I-41")
def test_what_became_an_internal_address_is_not_reached(app, alice, receiver, courier, settings):
    hook(app, alice, receiver.url)
    settings.OUTBOUND_ALLOW = []
    toggle(app, alice)
    until(lambda: Delivery.objects.get().attempts, courier())
    assert Delivery.objects.get().last_attempt["error_class"] == "Refused"
    assert not receiver.received


@pytest.mark.promise("I-42")
def test_receivers_that_hang_delay_nobody_else(alice, bob, courier, settings):
    settings.WEBHOOK_SECONDS = 2
    hanging, good = Receiver("hang"), Receiver()
    stuck = make_app("stuck", owner=bob)
    for number in range(10):
        hook(stuck, bob, f"{hanging.url}/{number}")
    app = make_app("shop", owner=alice)
    hook(app, alice, good.url)
    toggle(stuck, bob, 3)
    running = courier()
    until(lambda: len(hanging.received) == 10, running)
    began = time.monotonic()
    toggle(app, alice)
    until(lambda: good.received, running)
    assert time.monotonic() - began < 1.5
    hanging.stop()
    good.stop()


@pytest.mark.promise("I-42")
@pytest.mark.parametrize(("point", "received"), [("hook.claimed", 1), ("hook.sent", 2)])
def test_a_conductor_that_is_killed_loses_nothing(app, alice, receiver, courier, point, received):
    hook(app, alice, receiver.url)
    toggle(app, alice)
    code = (
        "import django; django.setup(); from conductor import deliveries as d; found = d.Deliveries(); "
        "d.Webhook.objects.count(); found._turn(d.Webhook.objects.get().pk)"
    )
    died = subprocess.run(
        [sys.executable, "-c", code], env=_environment(point), capture_output=True, timeout=60
    )
    assert died.returncode == -9, died.stderr.decode()
    assert Delivery.objects.get().word == "scheduled"
    free_leases()
    until(lambda: Delivery.objects.get().status == "succeeded", courier())
    assert len(receiver.received) == received
    assert len({json.loads(got.body)["webhook_metadata"]["delivery"]["id"] for got in receiver.received}) == 1


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


def test_the_end_of_an_app_is_told_although_it_is_gone(app, alice, receiver, courier):
    hook(app, alice, receiver.url)
    app_actions.destroy_app(app, confirm="shop", by=alice)
    type(app).objects.filter(pk=app.pk).delete()
    deliveries.forget_old()
    until(lambda: receiver.received, courier())
    assert json.loads(receiver.received[0].body)["action"] == "destroy"
    eventually(lambda: not Delivery.objects.filter(status="running").exists())
    deliveries.forget_old()
    assert not Webhook.objects.exists()


def test_a_webhook_that_is_removed_is_told_nothing_more(app, alice, receiver, courier):
    made = hook(app, alice, receiver.url, level="sync")
    toggle(app, alice)
    remove_webhook(made, by=alice)
    courier().look()
    assert not Delivery.objects.exists() and not receiver.received


def test_old_news_is_forgotten(app, alice, receiver):
    hook(app, alice, receiver.url)
    toggle(app, alice, 2)
    old = News.objects.first()
    News.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=31))
    deliveries.forget_old()
    assert old not in News.objects.all() and Delivery.objects.count() == 1
