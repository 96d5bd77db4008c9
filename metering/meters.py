"""The meters: what runs, counted by the second into the ledger.

`settle` compares an app's meters with its dynos and add-ons and closes the gaps, in the transaction of whatever changed
them; it may be called any time, any number of times. A meter that stops, or whose size, price, owner or stage changes,
leaves an entry; every few minutes all of them do, so that the ledger is never far behind.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from addons.models import Addon
from apps.models import App, Dyno
from core.changes import Change
from metering.models import MICROS, DynoPrice, Entry, Meter, Usage
from pipelines.models import Coupling

TICK = timedelta(microseconds=1)
OF_DYNOS = ("appeared", "went", "ran", "resized", "stopped")


def heard(change: Change) -> None:
    """Listens to `core.changes`: settle the app when one of its dynos or add-ons came or went, or it moved."""
    if not change.app_id:
        return
    if isinstance(change.thing, Dyno):
        ended = change.thing.one_off and change.thing.state == Dyno.State.DOWN
        if change.verb not in OF_DYNOS and not ended:
            return
    elif not isinstance(change.thing, (App, Addon)):
        return
    leaves = change.pipeline_id if change.verb == "removed" else None  # told of before it is done
    settle(change.app_id, leaves=leaves)


@transaction.atomic
def settle(app_id: UUID, now: datetime | None = None, *, leaves: Any = None) -> None:
    """Have exactly the meters of one app run that should, each with what it costs and where it belongs now, if not in
    the pipeline (id) that it `leaves`."""
    now = now or timezone.now()
    running = {meter.key: meter for meter in Meter.objects.filter(app_id=app_id)}
    wanted = _wanted(app_id, leaves)
    over = [
        meter
        for key, meter in running.items()
        if key not in wanted or wanted[key].context != meter.context  # it goes on with another price or place
    ]
    close(over, now)
    stopped = {meter.key for meter in over}
    begin = [meter for key, meter in wanted.items() if key not in running or key in stopped]
    for meter in begin:
        meter.since = now
    Meter.objects.bulk_create(begin, ignore_conflicts=True)


def close(meters: Iterable[Meter], now: datetime) -> None:
    """Stop `meters` and write what they counted. Of two who stop the same one, one writes."""
    for meter in meters:
        with transaction.atomic():
            if Meter.objects.filter(pk=meter.pk, since=meter.since).delete()[0]:
                _write(meter, now)


def cut(now: datetime | None = None) -> int:
    """Write what each meter counted so far, and let it run on; returns how many. Hourly, and safe to run twice."""
    now = now or timezone.now()
    done = 0
    for meter in Meter.objects.filter(since__lt=now).iterator(chunk_size=500):
        with transaction.atomic():
            if Meter.objects.filter(pk=meter.pk, since=meter.since).update(since=now):
                _write(meter, now)
                done += 1
    return done


def settle_all() -> None:
    """Make up for changes that nobody told of."""
    apps = set(App.objects.values_list("pk", flat=True)) | set(Meter.objects.values_list("app_id", flat=True))
    for app_id in apps:
        settle(app_id)


def micros(cents_per_month: int, start: datetime, end: datetime) -> int:
    """What that price makes from `start` to `end`, both in one month (UTC): a whole month is the whole price."""
    first = start.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    whole = next_month(first) - first
    return cents_per_month * MICROS * ((end - start) // TICK) // (whole // TICK)


def next_month(moment: datetime) -> datetime:
    """When the month after that of `moment` begins (UTC)."""
    first = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def _write(meter: Meter, now: datetime) -> None:
    """Entries from `meter.since` to `now`, one a month. A clock that was set back makes none."""
    start = meter.since
    while start < now:
        end = min(now, next_month(start))
        Entry.objects.create(
            **meter.context,
            kind=meter.kind,
            app_id=meter.app_id,
            item=meter.item,
            key=meter.key,
            started_at=start,
            ended_at=end,
            microseconds=(end - start) // TICK,
            micros=micros(meter.cents_per_month, start, end),
        )
        start = end


def _wanted(app_id: UUID, leaves: Any) -> dict[str, Meter]:
    app = App.objects.select_related("user", "team").filter(pk=app_id).first()
    if app is None:
        return {}
    place = _place(app, leaves)
    return {meter.key: meter for meter in _dynos(app, place)}


def _place(app: App, leaves: Any) -> dict[str, Any]:
    rows = Coupling.objects.select_related("pipeline", "stage").filter(app=app)
    coupling = rows.exclude(pipeline=leaves).first() if leaves else rows.first()
    return {
        "app_id": app.pk,
        "app_name": app.name,
        "team_id": app.team_id,
        "user_id": app.user_id,
        "owner_name": str(app.owner),
        "pipeline_id": coupling.pipeline_id if coupling else None,
        "pipeline_name": coupling.pipeline.name if coupling else "",
        "stage_name": coupling.stage.name if coupling else "",
    }


def _dynos(app: App, place: dict[str, Any]) -> Iterable[Meter]:
    """One per name: the old and the new dyno of a switch are side by side for moments, and count once."""
    prices = dict(DynoPrice.objects.values_list("size", "cents_per_month"))
    rows = Dyno.objects.filter(app=app).order_by("release_version")
    for row in rows:
        if row.one_off and row.state == Dyno.State.DOWN:
            continue
        yield Meter(
            **place,
            kind=Usage.Kind.DYNO,
            key=f"dyno/{app.pk}/{row.name}",
            item=row.name,
            what=row.size,
            cents_per_month=prices.get(row.size, 0),
        )
