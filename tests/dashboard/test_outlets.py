"""The page of an app's log drains and webhooks."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from apps import actions as app_actions
from apps.models import LogDrain
from hooks.models import Delivery, Webhook
from tests.factories import make_app

PAGE = "/apps/shop/outlets/"


@pytest.fixture
def app(alice, client):
    client.force_login(alice)
    return make_app("shop", owner=alice)


def test_it_is_reached_from_the_settings(client, app):
    assertContains(client.get("/apps/shop/settings/"), PAGE)
    assertContains(client.get(PAGE), "No log drains")


def test_a_drain_is_added_shown_and_removed(client, app):
    answer = client.post("/apps/shop/drains/", {"drain": "https://me:hush@logs.invalid/x"})
    assertRedirects(answer, f"{PAGE}#drains", status_code=303)
    shown = client.get(PAGE)
    assertContains(shown, "https://me:****@logs.invalid/x")
    assertNotContains(shown, "hush")
    LogDrain.objects.update(failures=2, last_error="It answers 503.")
    assertContains(client.get(PAGE), "It answers 503.")
    client.post(f"/apps/shop/drains/{LogDrain.objects.get().pk}/removal/")
    assertContains(client.get(PAGE), "No log drains")


def test_what_is_wrong_with_a_drain_stands_beside_it(client, app):
    answer = client.post("/apps/shop/drains/", {"drain": "syslog://127.0.0.1:514"})
    assertContains(answer, "internal address", status_code=422)
    assertContains(answer, "syslog://127.0.0.1:514", status_code=422)


def test_a_webhook_tells_its_secret_once(client, app, alice):
    sent = {"url": "https://hooks.invalid/x", "level": "sync", "include": ["api:app", "dyno"]}
    answer = client.post("/apps/shop/webhooks/", sent)
    hook = Webhook.objects.get()
    assertContains(answer, hook.secret)
    assert hook.include == ["api:app", "dyno"]
    app_actions.set_maintenance(app, True, by=alice)
    attempt = {"code": 500, "error_class": None}
    Delivery.objects.update(attempts=1, last_attempt=attempt)
    later = client.get(PAGE)
    assertContains(later, "https://hooks.invalid/x")
    assertContains(later, "it answered 500")
    assertNotContains(later, hook.secret)
    client.post(f"/apps/shop/webhooks/{hook.pk}/removal/")
    assertContains(client.get(PAGE), "No webhooks")


def test_what_is_wrong_with_a_webhook_stands_beside_it(client, app):
    answer = client.post(
        "/apps/shop/webhooks/", {"url": "http://10.0.0.1/", "level": "sync", "include": ["dyno"]}
    )
    assertContains(answer, "internal address", status_code=422)
    answer = client.post("/apps/shop/webhooks/", {"url": "https://hooks.invalid/", "level": "sync"})
    assertContains(answer, "Include something", status_code=422)
    assert not Webhook.objects.exists()
