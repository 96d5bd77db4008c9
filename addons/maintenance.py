"""Maintenance of the servers that the platform runs itself: when a newer program is installed than one runs, it starts
again, in its window, after that was announced. What each add-on chose, and what was announced, is in its options."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Self

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from addons import actions
from addons.models import Addon
from addons.providers import maintained, provider_for
from addons.providers.base import Maintains
from core import activity
from core.errors import NotFound, Refusal
from core.models import Event

TASK = ["maintain"]
WINDOW, ANNOUNCED = "maintenance_window", "maintenance_announced"  # options
ANNOUNCES, STARTS, DONE = "announced maintenance of", "started maintenance of", "maintained"  # verbs
LENGTH = timedelta(hours=4)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*(am|pm)?", re.IGNORECASE)
_MIDNIGHT = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday


@dataclass(frozen=True)
class Window:
    """Some hours of each week, in UTC."""

    day: int  # 0 is Monday
    minute: int  # of the day

    @classmethod
    def parse(cls, day: str, time: str) -> Self:
        """From `sunday` or `sun`, and `13:30` or `1:30PM`. `Refusal` tells what is wrong."""
        days = [
            number
            for number, name in enumerate(DAYS)
            if len(day) >= 3 and name.lower().startswith(day.lower())
        ]
        found = _TIME.fullmatch(time.strip())
        if not days:
            raise Refusal("Write the day in English, like Sunday.", fields={"day": "No day of the week."})
        wrong = Refusal("Write the time like 03:00 or 3:00AM.", fields={"time": "No time of day."})
        if found is None:
            raise wrong
        hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").lower()
        if minute > 59 or hour > 23 or (half and not 1 <= hour <= 12):
            raise wrong
        if half:
            hour = hour % 12 + (12 if half == "pm" else 0)
        return cls(days[0], hour * 60 + minute)

    @property
    def key(self) -> str:
        """How it is kept: `Sunday 03:00`."""
        return f"{DAYS[self.day]} {self.time}"

    @property
    def time(self) -> str:
        """When it opens, `03:00`."""
        return f"{self.minute // 60:02d}:{self.minute % 60:02d}"

    def __str__(self) -> str:
        end = _MIDNIGHT + timedelta(days=self.day, minutes=self.minute) + LENGTH
        day = "" if end.weekday() == self.day else f"{DAYS[end.weekday()]} "
        return f"{self.key} to {day}{end:%H:%M} UTC"

    def after(self, told: datetime, now: datetime) -> datetime:
        """When it first opens after `told`; once that is over, when it opened or opens next at `now`."""
        first = self._opening(told)
        return first if now < first + LENGTH else self._opening(now - LENGTH)

    def _opening(self, moment: datetime) -> datetime:
        """When it first opens after `moment`."""
        moment = moment.astimezone(UTC)
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        start = day + timedelta(days=self.day - day.weekday(), minutes=self.minute)
        return start if start > moment else start + timedelta(days=7)


@dataclass(frozen=True)
class Standing:
    """How it stands with an add-on's maintenance."""

    window: Window
    shared: bool  # the server, and so the window, is that of all its kind
    due: bool  # a newer program is installed
    running: bool
    at: datetime | None  # when it is due


def standing(addon: Addon, now: datetime | None = None) -> Standing | None:
    """How it stands; None for what the platform runs no server for."""
    provider = provider_for(addon.service.name, by_partner=addon.service.by_partner)
    if not isinstance(provider, Maintains) or not provider.maintains() or not addon.sealed_config:
        return None
    window, now = window_of(addon, shared=provider.shared), now or timezone.now()
    running = TASK in addon.tasks
    due = not running and provider.outdated(str(addon.pk))
    at = window.after(_told(addon) or now, now) if due else None
    return Standing(window, provider.shared, due, running, at)


def demand(addon: Addon) -> Standing:
    """How it stands; `NotFound` where there is nothing to maintain."""
    found = standing(addon)
    if found is None:
        raise NotFound(f"Slipway runs no server for {addon.name} to maintain.", resource="maintenance")
    return found


def window_of(addon: Addon, *, shared: bool) -> Window:
    """The window that was chosen for it, or the platform's."""
    day, _, time = str(addon.options.get(WINDOW, "")).partition(" ")
    try:
        return default_window(settings.MAINTENANCE_WINDOW) if shared else Window.parse(day, time)
    except Refusal:
        return default_window(settings.MAINTENANCE_WINDOW)


@cache
def default_window(text: str) -> Window:
    """The platform's window, as the setting says."""
    day, _, time = text.partition(" ")
    try:
        return Window.parse(day, time)
    except Refusal as refusal:
        raise ImproperlyConfigured(
            f"SLIPWAY_MAINTENANCE_WINDOW is {text}; write a day and a time in UTC, like Sunday 03:00"
        ) from refusal


def history(addon: Addon) -> list[Event]:
    """When it was maintained, the newest first."""
    owner = {"app_id": addon.app_id} if addon.app_id else {"pipeline_id": addon.pipeline_id}
    return list(Event.objects.filter(**owner, verb=DONE, object_id=str(addon.pk))[:20])


def _told(addon: Addon) -> datetime | None:
    """When its maintenance was announced."""
    try:
        return datetime.fromisoformat(addon.options.get(ANNOUNCED, ""))
    except (TypeError, ValueError):
        return None


# --- verbs ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def set_window(addon: Addon, day: str, time: str, *, by: User) -> Window:
    """Choose the hours for one add-on, which has a server of its own."""
    if demand(addon).shared:
        raise Refusal(
            "Databases share one server, and so its window: operators set it with SLIPWAY_MAINTENANCE_WINDOW."
        )
    window, locked = Window.parse(day.strip(), time), actions.locked(addon)
    _keep(locked, {WINDOW: window.key})
    activity.record(
        by,
        "set the maintenance window of",
        locked,
        app=locked.app,
        pipeline=locked.pipeline,
        window=str(window),
    )
    return window


@transaction.atomic
def run(addon: Addon, *, by: User | None) -> None:
    """Have its server start again with the newer program, now. `by` None is the platform, in the window."""
    locked = actions.locked(addon)
    actions.demand_ready(locked)
    found = demand(locked)
    if by is not None and found.shared:
        raise Refusal(
            f"Databases share one server, which starts again {found.window}: operators restart Slipway to have it sooner."
        )
    if not found.due:
        raise Refusal(f"{locked.name} needs no maintenance: it runs what is installed.")
    actions.ask(locked, TASK)
    if by is not None:
        activity.record(by, STARTS, locked, app=locked.app, pipeline=locked.pipeline)


def finish(addon: Addon) -> None:
    """Note that it runs what is installed. Call it in a transaction, with the add-on locked."""
    _keep(addon, {ANNOUNCED: ""})
    activity.record(None, DONE, addon, app=addon.app, pipeline=addon.pipeline)


def look(now: datetime | None = None) -> None:
    """Announce what is due, and have it done in its window."""
    now = now or timezone.now()
    rows = Addon.objects.whole().filter(plan__service__name__in=maintained(), state=Addon.State.PROVISIONED)
    for addon in rows:
        found = standing(addon, now)
        if found is not None and not addon.tasks and (found.due or addon.options.get(ANNOUNCED)):
            _see_to(addon, now)


@transaction.atomic
def _see_to(addon: Addon, now: datetime) -> None:
    locked = actions.locked(addon)
    found, announced = standing(locked, now), locked.options.get(ANNOUNCED)
    if locked.tasks or found is None:
        return
    if found.at is None:  # the platform itself has been started again
        finish(locked)
    elif not announced:
        _keep(locked, {ANNOUNCED: now.isoformat()})
        at = f"{found.at:%Y-%m-%d %H:%M} UTC"
        activity.record(None, ANNOUNCES, locked, app=locked.app, pipeline=locked.pipeline, at=at)
    elif found.at <= now:
        run(locked, by=None)


def _keep(addon: Addon, options: dict[str, str]) -> None:
    """Note options of a row that is locked; those without a value go."""
    kept = {key: value for key, value in addon.options.items() if key not in options}
    addon.options = kept | {key: value for key, value in options.items() if value}
    Addon.objects.filter(pk=addon.pk).update(options=addon.options)
    actions.tell(addon)
