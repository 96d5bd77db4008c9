"""What the pages of usage show: a month of a team, a person, a pipeline or an app."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.utils import timezone

from apps.models import App
from dashboard.forms import Form
from metering import budgets, reports
from metering.models import MICROS
from metering.reports import Line, Report, Scope

PER_PAGE = 50
BARS = 6
BAR_HEIGHT = 60


@dataclass
class Row:
    """An app in the table, or one dyno or add-on where the page is an app's own."""

    title: str
    under: str
    app_id: Any
    lines: list[Line]
    app: str = ""  # to link to; empty where the page is its own, or it is gone

    @property
    def hours(self) -> float:
        """Of all that it ran."""
        return sum(line.hours for line in self.lines)

    @property
    def spent(self) -> str:
        """So far."""
        return budgets.money(sum(line.micros for line in self.lines) / MICROS)

    @property
    def forecast(self) -> str:
        """By the end of the month."""
        return budgets.money(sum(line.micros + line.to_come for line in self.lines) / MICROS)

    @property
    def runs(self) -> int:
        """How many of its dynos and add-ons count on."""
        return sum(line.runs for line in self.lines)


@dataclass(frozen=True)
class Bar:
    """A month gone by, or this one."""

    month: date
    amount: str
    height: int

    @property
    def top(self) -> int:
        """Where it begins, from above."""
        return BAR_HEIGHT - self.height


def usage(scope: Scope, month: str | None, page: str | None, form: Form, *, by_app: bool) -> dict[str, Any]:
    """The month called 2026-11, or the one that runs; `by_app` has a row an app, else one a dyno or add-on."""
    found = reports.report(scope, reports.month_of(month))
    rows = Paginator(_by_app(found) if by_app else _by_line(found), PER_PAGE).get_page(page)
    names = dict(App.objects.alive().filter(pk__in=[row.app_id for row in rows]).values_list("pk", "name"))
    for row in rows:
        row.app = names.get(row.app_id, "")
    today = timezone.now().date()
    return {
        "report": found,
        "rows": rows,
        "page": rows,
        "keep": f"month={found.month:%Y-%m}&",
        "by_app": by_app,
        "spent": budgets.money(found.micros / MICROS),
        "of_dynos": budgets.money(found.dynos / MICROS),
        "of_addons": budgets.money(found.addons / MICROS),
        "forecast": budgets.money(found.forecast / MICROS),
        "budget": budgets.money(found.budget.cents) if found.budget else "",
        "bars": _bars(scope, found),
        "before": found.month - timedelta(days=1),
        "after": None if found.is_now or found.month > today else found.month + timedelta(days=31),
        "prices": settings.SHOW_PRICES,
        "form": form.over({"budget": f"{found.budget.cents / 100:.2f}" if found.budget else ""}),
        "currency": settings.CURRENCY,
    }


def _by_app(found: Report) -> list[Row]:
    rows: dict[Any, Row] = {}
    for line in found.lines:
        place = f"{line.stage} in {line.pipeline}" if line.stage else line.pipeline
        key = (line.app_id, place)
        title = line.app or f"Add-ons of {line.pipeline} itself"
        rows.setdefault(key, Row(title, place, line.app_id, [])).lines.append(line)
    return list(rows.values())


def _by_line(found: Report) -> list[Row]:
    return [Row(line.item, line.what, None, [line]) for line in found.lines]


def _bars(scope: Scope, found: Report) -> list[Bar]:
    """The last months from the first that cost something; nothing when there was only this one."""
    months = reports.months(scope, BARS)
    if found.is_now:
        months[-1] = (found.month, found.micros)
    while months and not months[0][1]:
        months = months[1:]
    if len(months) < 2:
        return []
    top = max(amount for _, amount in months)
    return [
        Bar(month, budgets.money(amount / MICROS), max(1, round(BAR_HEIGHT * amount / top)))
        for month, amount in months
    ]
