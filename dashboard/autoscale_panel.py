"""What the Resources page says of autoscaling, and asks for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from apps.autoscale import USUAL_P95
from apps.models import App, Autoscale
from apps.scaling import MAX_DYNOS, WEB
from dashboard.forms import Form
from dashboard.standing import ProcessType
from metering import budgets, prices

ROOM = 2  # dynos above those that an app has, until somebody says otherwise


@dataclass(frozen=True)
class Panel:
    """`row` is what was asked for, even if it is off; `cents` what a dyno costs a month, 0 where no prices are shown."""

    on: bool
    row: Autoscale | None
    form: Form
    line: ProcessType
    cents: int

    @property
    def key(self) -> str:
        """Changes with what was asked for: until then, what is being typed outlives a nudge."""
        row = self.row
        return f"{row.minimum}-{row.maximum}-{row.p95}-{row.notify:d}-{self.on:d}" if row else "none"

    @property
    def cost(self) -> str:
        """What it comes to a month at the least and the most; empty where no prices are shown."""
        try:
            low, high = (int(self.form.value(name)) for name in ("minimum", "maximum"))
        except ValueError:
            return ""
        if not self.cents or not 0 < low <= high <= MAX_DYNOS:
            return ""
        least, most = (budgets.money(number * self.cents).removesuffix(".00") for number in (low, high))
        return f"{least} to {most} a month" if low != high else f"{most} a month"

    @property
    def mails(self) -> bool:
        """Whether mail goes out at all."""
        return bool(settings.MAIL)

    @property
    def currency(self) -> str:
        """The sign before amounts."""
        return str(settings.CURRENCY)


def scaler_of(app: App) -> Autoscale | None:
    """Who scales the web dynos of `app`: the row while autoscaling is on, None where people do. No query, if the app came
    with its `autoscale`."""
    row = getattr(app, "autoscale", None)
    return row if row is not None and row.enabled else None


def panel(app: App, lines: Iterable[ProcessType], form: Form | None) -> Panel | None:
    """None for an app without web process. `form` is what was refused."""
    line = next((line for line in lines if line.type == WEB), None)
    if line is None:
        return None
    row: Autoscale | None = getattr(app, "autoscale", None)
    low = max(line.quantity, 1)
    known = (
        {"minimum": row.minimum, "maximum": row.maximum, "p95": row.p95, "notify": row.notify}
        if row
        else {"minimum": low, "maximum": min(low + ROOM, MAX_DYNOS), "p95": USUAL_P95, "notify": True}
    )
    filled = form if form is not None else Form(None, **known)
    cents = prices.of_sizes().get(line.size, 0)
    return Panel(row is not None and row.enabled, row, filled, line, cents)
