"""Budgets: how much somebody means to spend a month, and who is told on the way there.

A budget stops nothing: an app that runs is worth more than a figure. It is told of once at each of 50, 80 and 100 percent
of it, by activity and by mail to whoever manages what it is of.
"""

import logging
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from accounts.access import managers_of
from accounts.models import Team, User
from core import activity
from core.errors import Refusal
from metering import reports
from metering.models import MICROS, Budget
from metering.reports import Thing

log = logging.getLogger(__name__)

AT_PERCENT = (50, 80, 100)
MOST_CENTS = 100_000_000


@transaction.atomic
def set_budget(thing: Thing, text: str, *, by: User) -> Budget | None:
    """Have `thing` spend no more than `text`, an amount like 120 or 99.50, a month without being told; empty: no
    budget. `Refusal` for what is no amount."""
    which: dict[str, Any] = {reports.name_of(thing): thing}
    if not text.strip():
        if Budget.objects.filter(**which).delete()[0]:
            activity.record(by, "removed the budget of", thing)
        return None
    cents = _cents(text)
    budget, _ = Budget.objects.update_or_create(
        **which, defaults={"cents": cents, "told_month": None, "told_percent": 0}
    )
    activity.record(by, "set the budget of", thing, to=money(cents))
    return budget


def look(now: datetime | None = None) -> int:
    """Tell of every budget that has come to its next mark; returns how many. Safe to run twice."""
    now = now or timezone.now()
    told = 0
    for budget in Budget.objects.select_related("team", "user", "pipeline", "app"):
        found = reports.report(reports.scope_of(budget.thing), now=now)
        percent = max((mark for mark in AT_PERCENT if (found.of_budget or 0) >= mark), default=0)
        told += _tell(budget, percent, found)
    return told


def money(cents: float) -> str:
    """An amount as people read it: $12.34."""
    return f"{settings.CURRENCY}{cents / 100:,.2f}"


def _cents(text: str) -> int:
    plain = text.strip().removeprefix(settings.CURRENCY).replace(",", "")
    whole, _, part = plain.partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 7):
        raise Refusal("Write an amount, like 120 or 99.50.", fields={"budget": "This is not an amount."})
    if part and not (part.isascii() and part.isdigit() and len(part) <= 2):
        raise Refusal("Write an amount, like 120 or 99.50.", fields={"budget": "This is not an amount."})
    cents = int(whole) * 100 + int(part.ljust(2, "0") or 0)
    if not 0 < cents <= MOST_CENTS:
        raise Refusal(
            f"A budget is between {money(1)} and {money(MOST_CENTS)}.",
            fields={"budget": "This is too little or too much."},
        )
    return cents


def _tell(budget: Budget, percent: int, found: reports.Report) -> bool:
    """Note and send the alert, if it is a new one; whether it was."""
    same = budget.told_month == found.month
    if not percent or (same and percent <= budget.told_percent):
        return False
    with transaction.atomic():
        # Compare and set: of two who look, one tells.
        rows = Budget.objects.filter(
            pk=budget.pk, told_month=budget.told_month, told_percent=budget.told_percent
        )
        if not rows.update(told_month=found.month, told_percent=percent):
            return False
        thing = budget.thing
        spent = money(found.micros / MICROS)
        activity.record(
            None,
            "reached its budget of" if percent == 100 else f"reached {percent} % of the budget of",
            thing,
            what=f"{spent} of {money(budget.cents)} in {found.month:%B}",
        )
        people = [
            person.email for person in managers_of(thing if isinstance(thing, (User, Team)) else thing.owner)
        ]
        transaction.on_commit(lambda: _mail(str(thing), percent, spent, budget, people, found))
    return True


def _mail(
    name: str, percent: int, spent: str, budget: Budget, people: list[str], found: reports.Report
) -> None:
    if not settings.MAIL or not people:
        return
    text = (
        f"{name} has used {spent} of its budget of {money(budget.cents)} for {found.month:%B}.\n"
        f"If all that runs now runs on, the month will come to {money(found.forecast / MICROS)}.\n"
        "Nothing is stopped.\n"
    )
    for address in people:
        try:
            send_mail(f"{name}: {percent} % of its budget", text, None, [address])
        except OSError as fault:
            log.warning("The alert of a budget could not be sent: %s", fault)
