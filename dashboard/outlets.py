"""What leaves an app on its own: its log to drains, news of it to webhooks, and how the last deliveries went."""

from dataclasses import dataclass
from typing import Any

from accounts.models import User
from addons import naming
from apps.models import App, LogDrain
from dashboard.panels import frame
from hooks.actions import deliveries_of, webhooks_of
from hooks.includes import OF_APPS
from hooks.models import Delivery

RECENT = 20
KINDS = {"succeeded": "passed", "failed": "failed", "retrying": "waiting"}


@dataclass(frozen=True)
class Line:
    """A delivery as the page shows it: `kind` is how it stands, for the mark beside it; `why` what went wrong."""

    delivery: Delivery
    kind: str
    why: str


@dataclass(frozen=True)
class Drain:
    """A log drain, with the name of the add-on that brought it along."""

    row: LogDrain
    addon: str


def of(app: App, user: User) -> dict[str, Any]:
    """Everything of the page."""
    recent = deliveries_of(app).select_related("news", "webhook").order_by("-seq")[:RECENT]
    return {
        **frame(app, user, "settings"),
        "drains": _drains(app),
        "webhooks": list(webhooks_of(app)),
        "deliveries": [_line(delivery) for delivery in recent],
        "includes": OF_APPS,
    }


def _drains(app: App) -> list[Drain]:
    rows = list(LogDrain.objects.filter(app=app))
    names = naming.names_of(row.addon for row in rows if row.addon)
    return [Drain(row, names.get(row.addon, "") if row.addon else "") for row in rows]


def _line(delivery: Delivery) -> Line:
    last = delivery.last_attempt or {}
    code, error = last.get("code"), last.get("error_class")
    why = "" if delivery.word == "succeeded" else f"it answered {code}" if code else error or ""
    return Line(delivery, KINDS.get(delivery.word, "queued"), why)
