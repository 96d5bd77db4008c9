"""Who means to spend so much is told on the way there, once each time, and nothing is stopped."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail

from core.errors import Refusal
from core.models import Event
from metering import budgets, meters
from metering.models import Budget
from tests.factories import make_app
from tests.metering.test_meters import begin

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def mailing(settings):
    settings.MAIL = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def app(team, monkeypatch):
    """25.00 a month, from the first second of November."""
    monkeypatch.setattr("metering.meters.timezone.now", lambda: START)
    app = make_app("shop", owner=team)
    begin(app)
    return app


def told(thing):
    events = Event.objects.filter(object_id=str(thing.pk), verb__startswith="reached").order_by("at")
    return [(event.verb, event.details["what"]) for event in events]


def test_each_mark_is_told_once_in_a_month(app, team, alice, mailing, django_capture_on_commit_callbacks):
    budgets.set_budget(team, "10", by=alice)
    with django_capture_on_commit_callbacks(execute=True):
        assert budgets.look(START + 5 * DAY) == 0
        assert budgets.look(START + 7 * DAY) == 1
        assert budgets.look(START + 8 * DAY) == 0
        assert budgets.look(START + 13 * DAY) == 1
        assert budgets.look(START + 14 * DAY) == 0
    assert told(team) == [
        ("reached 50 % of the budget of", "$5.83 of $10.00 in November"),
        ("reached its budget of", "$10.83 of $10.00 in November"),
    ]
    assert [(letter.to, letter.subject) for letter in mail.outbox] == [
        (["alice@example.com"], "acme: 50 % of its budget"),
        (["alice@example.com"], "acme: 100 % of its budget"),
    ]
    assert "$25.00" in mail.outbox[0].body and "Nothing is stopped." in mail.outbox[0].body


def test_the_next_month_begins_anew(app, alice):
    budgets.set_budget(app, "10", by=alice)
    assert budgets.look(START + 20 * DAY) == 1
    meters.cut(START + 31 * DAY)
    assert budgets.look(START + 31 * DAY) == 0
    assert budgets.look(START + 37 * DAY) == 1
    assert told(app)[-1][1].endswith("in December")


@pytest.mark.parametrize("text", ["abc", "-5", "1.234", "1e9", "99999999", "0", "٣"])
def test_what_is_no_amount_is_refused(app, alice, text):
    with pytest.raises(Refusal):
        budgets.set_budget(app, text, by=alice)
    assert not Budget.objects.exists()


def test_a_budget_changes_and_goes(app, alice):
    assert budgets.set_budget(app, "$1,200.5", by=alice).cents == 120_050
    assert budgets.set_budget(app, "99", by=alice).cents == 9_900
    assert budgets.set_budget(app, " ", by=alice) is None
    assert not Budget.objects.exists()
