"""The audit trail as operators read it."""

import pytest
from django.urls import reverse
from django.utils import timezone

from apps import actions as apps
from apps.models import App
from core import activity
from core.models import Event
from tests.admin.conftest import list_of, page_of


@pytest.fixture
def rows(operator, client, shop, alice, charlie):
    production = App.objects.get(name="shop-production")
    with activity.coming("api", address="203.0.113.7", request_id="request-77"):
        apps.restart(production, by=charlie)
    with activity.coming("web", address="198.51.100.9"):
        apps.set_maintenance(App.objects.get(name="shop-staging"), True, by=alice)

    def shown(**filters):
        answer = client.get(list_of(Event), filters)
        assert answer.status_code == 200
        return {(event.actor, event.verb, event.label) for event in answer.context["cl"].result_list}

    return shown


RESTARTED = ("charlie@example.com", "restarted", "shop-production")
MAINTAINED = ("alice@example.com", "turned maintenance on for", "shop-staging")


@pytest.mark.parametrize(
    "filters",
    [
        {"person": "charlie@"},
        {"verb": "restarted"},
        {"through": "api"},
        {"address": "203.0.113."},
        {"q": "request-77"},
        {"person": "charlie", "kind": "app", "about": "shop-prod", "through": "api"},
    ],
)
def test_it_is_filtered(rows, filters):
    assert rows(**filters) == {RESTARTED}


def test_by_object_with_all_that_is_its_own(rows):
    app = App.objects.get(name="shop-staging")
    found = rows(about=str(app.pk))
    assert MAINTAINED in found and RESTARTED not in found
    assert "v1" in {label for _, _, label in found}


def test_by_date(rows):
    assert MAINTAINED in rows(at_from="2000-01-01", at_to="2999-01-01")
    assert rows(at_from="2000-01-01", at_to="2000-01-02") == set()
    today = f"{timezone.now():%Y-%m-%d}"
    assert MAINTAINED in rows(at_from=today, at_to=today)
    assert MAINTAINED in rows(at_from="yesterday")


def test_by_kind(rows):
    assert {kind for _, _, kind in rows(kind="team")} == {"acme"}


def test_rows_never_change(rows, client):
    event = Event.objects.first()
    assert client.get(page_of(event)).status_code == 200
    assert client.post(page_of(event), {"verb": "undid"}).status_code == 403
    assert client.post(page_of(event, "delete"), {"post": "yes"}).status_code == 403
    assert client.get(reverse("admin:core_event_add")).status_code == 403
    answer = client.post(list_of(Event), {"action": "delete_selected", "_selected_action": [str(event.pk)]})
    assert answer.status_code in (200, 302)
    assert Event.objects.filter(pk=event.pk, verb=event.verb).exists()
