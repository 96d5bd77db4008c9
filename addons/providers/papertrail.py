"""A longer log, on the platform's own log store: the plan says for how many days, and up to how many bytes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from addons.models import Addon
from addons.providers.base import Order, Provided
from apps import logs
from core.errors import EngineError
from engine.logstore import Keep

MB = 1024**2
DAYS, LOG_MB = 7, 256  # of a plan whose limits, which operators edit, say nothing of use


class Papertrail:
    """Tells the log store how much of an app's log to keep. Lines are where they always are: ordering it moves none, and
    those of before are in the archive as far as the log still had them."""

    def why_not(self) -> str:
        """The log store is always there."""
        return ""

    def provision(self, order: Order) -> Provided:
        """Keep more from now on."""
        return self._keep(order, order.limits)

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """Keep more, or less: then what is beyond it goes."""
        return self._keep(order, limits)

    def deprovision(self, order: Order) -> None:
        """Keep as much as of any app."""
        tell(_stream(order), None)

    def credential(self, order: Order, name: str) -> Provided:
        """It has none."""
        return Provided({})

    def drop_credential(self, order: Order, name: str) -> None:
        """There is none."""

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """How much there is, and since when."""
        held = logs.store().held(_stream(order))
        since = f" since {datetime.fromtimestamp(held.since, UTC):%-d %B %Y, %H:%M} UTC" if held.since else ""
        return [("Log", f"{held.size / MB:.1f} MB{since}")]

    def _keep(self, order: Order, limits: Mapping[str, int]) -> Provided:
        keep = rule(limits)
        tell(_stream(order), keep)
        days = "1 day" if keep.days == 1 else f"{keep.days} days"
        return Provided({}, f"The log is kept for {days}, up to {keep.size // MB:,} MB.")


def rule(limits: Mapping[str, int]) -> Keep:
    """How much a plan of these `limits` keeps."""
    return Keep(size=_number(limits, "log_mb", LOG_MB) * MB, days=_number(limits, "days", DAYS))


def _number(limits: Mapping[str, Any], name: str, otherwise: int) -> int:
    told = limits.get(name)
    return told if isinstance(told, int) and told >= 0 else otherwise


def tell(stream: str, more: Keep | None) -> None:
    """Have the log store keep more of a stream, or, with None, no more than usual."""
    if not stream:
        return
    try:
        logs.store().keep(stream, more)
    except OSError as error:
        raise EngineError(f"The log store can't be told what to keep: {error.strerror}.") from error


def _stream(order: Order) -> str:
    """The stream of the app's log; empty when the app is gone, and its log with it."""
    addon = Addon.objects.filter(pk=order.id).select_related("app").first()
    return addon.app.log_stream if addon and addon.app else ""
