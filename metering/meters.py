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
from django.db.models import QuerySet
from django.utils import timezone

from addons.models import Addon
from apps.models import App, Dyno
from core.changes import Change
from metering.models import MICROS, DynoPrice, Entry, Meter, Usage
from pipelines.models import Coupling, Pipeline

TICK = timedelta(microseconds=1)
BILLED = (Addon.State.PROVISIONED, Addon.State.CHANGING)
OF_DYNOS = ("appeared", "went", "ran", "resized")
IN_A_SWITCH = ("appeared", "went")  # said of a dyno while its twin of another release is there
UNMETERED = (
    "created",
    "started a build of",
    "changed config of",
    "promoted",
)  # what happens to apps often and costs nothing by itself


def heard(change: Change) -> None:
    """Listens to `core.changes`: settle an app when one of its dynos or add-ons came or went, or it moved, and a
    pipeline for its own add-ons. What is told before it is done (leaving, being destroyed) is taken as done."""
    thing = change.thing
    if isinstance(thing, Dyno):
        ended = thing.one_off and thing.state == Dyno.State.DOWN
        if (change.verb in OF_DYNOS or ended) and not (change.verb in IN_A_SWITCH and _has_twin(thing)):
            settle(thing.app_id)
    elif isinstance(thing, Addon):
        gone = thing.pk if change.verb == "destroyed" else None
        if thing.app_id:
            settle(thing.app_id, gone=gone)
        elif thing.pipeline_id:
            settle_pipeline(thing.pipeline_id, gone=gone)
    elif isinstance(thing, App) and change.verb not in UNMETERED:
        settle(thing.pk, leaves=change.pipeline_id if change.verb == "removed" else None)


def _has_twin(dyno: Dyno) -> bool:
    """Whether another dyno of this name and size is there, the old one or the new one of a switch: the meter of both
    runs on."""
    if dyno.one_off:
        return False
    same = Dyno.objects.filter(app=dyno.app_id, type=dyno.type, number=dyno.number, one_off=False)
    others = same.exclude(release_version=dyno.release_version)
    return others.filter(size=dyno.size).exclude(state=Dyno.State.IDLE).exists()


@transaction.atomic(savepoint=False)
def settle(app_id: UUID, now: datetime | None = None, *, leaves: Any = None, gone: Any = None) -> None:
    """Have exactly the meters of one app run that should, each with what it costs and where it belongs now: without
    the pipeline (id) that it `leaves`, and without the add-on (id) that is `gone`."""
    if not any(model.objects.filter(app_id=app_id).exists() for model in (Meter, Dyno, Addon)):
        return
    app = App.objects.select_related("user", "team").filter(pk=app_id).first()
    wanted: list[Meter] = []
    if app is not None:
        place = _place(app, leaves)
        addons = Addon.objects.filter(app=app).exclude(pk=gone)
        wanted = [*_dynos(app, place), *_addons(addons, place)]
    _match(Meter.objects.filter(app_id=app_id), wanted, now or timezone.now())


@transaction.atomic(savepoint=False)
def settle_pipeline(pipeline_id: UUID, now: datetime | None = None, *, gone: Any = None) -> None:
    """The same for the add-ons that belong to a pipeline, and to no app."""
    pipeline = Pipeline.objects.select_related("user", "team").filter(pk=pipeline_id).first()
    wanted: list[Meter] = []
    if pipeline is not None:
        place = {**_owner(pipeline), "pipeline_id": pipeline.pk, "pipeline_name": pipeline.name}
        wanted = list(_addons(Addon.objects.filter(pipeline=pipeline).exclude(pk=gone), place))
    running = Meter.objects.filter(app_id=None, pipeline_id=pipeline_id)
    _match(running, wanted, now or timezone.now())


def _match(running: QuerySet[Meter], wanted: Iterable[Meter], now: datetime) -> None:
    """Stop and start meters until those run that should. One whose price or place changed stops and starts anew."""
    runs = {meter.key: meter for meter in running}
    should = {meter.key: meter for meter in wanted}
    same = {key for key, meter in runs.items() if key in should and should[key].context == meter.context}
    close([meter for key, meter in runs.items() if key not in same], now)
    begin = [meter for key, meter in should.items() if key not in same]
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
    metered = Meter.objects.order_by()
    apps = {*App.objects.values_list("pk", flat=True), *metered.values_list("app_id", flat=True)}
    for app_id in apps:
        if app_id is not None:
            settle(app_id)
    owning = Addon.objects.order_by().values_list("pipeline_id", flat=True)
    for pipeline_id in {*owning, *metered.filter(app_id=None).values_list("pipeline_id", flat=True)} - {None}:
        settle_pipeline(pipeline_id)


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


def _place(app: App, leaves: Any) -> dict[str, Any]:
    rows = Coupling.objects.select_related("pipeline", "stage").filter(app=app)
    coupling = rows.exclude(pipeline=leaves).first() if leaves else rows.first()
    return {
        **_owner(app),
        "app_id": app.pk,
        "app_name": app.name,
        "pipeline_id": coupling.pipeline_id if coupling else None,
        "pipeline_name": coupling.pipeline.name if coupling else "",
        "stage_name": coupling.stage.name if coupling else "",
    }


def _owner(thing: App | Pipeline) -> dict[str, Any]:
    return {"team_id": thing.team_id, "user_id": thing.user_id, "owner_name": str(thing.owner)}


def _dynos(app: App, place: dict[str, Any]) -> Iterable[Meter]:
    """One per name: the old and the new dyno of a switch are side by side for moments, and count once. What sleeps does
    not count."""
    prices = dict(DynoPrice.objects.values_list("size", "cents_per_month"))
    rows = Dyno.objects.filter(app=app).order_by("release_version")
    for row in rows:
        if row.state == (Dyno.State.DOWN if row.one_off else Dyno.State.IDLE):
            continue
        yield Meter(
            **place,
            kind=Usage.Kind.DYNO,
            key=f"dyno/{app.pk}/{row.name}",
            item=row.name,
            what=row.size,
            cents_per_month=prices.get(row.size, 0),
        )


def _addons(rows: QuerySet[Addon], place: dict[str, Any]) -> Iterable[Meter]:
    """Those that are there: neither while they are made nor once somebody gave them up."""
    for addon in rows.filter(state__in=BILLED).select_related("plan__service"):
        yield Meter(
            **place,
            kind=Usage.Kind.ADDON,
            key=f"addon/{addon.pk}",
            item=addon.name,
            what=addon.plan.full_name,
            cents_per_month=addon.plan.price_cents,
        )
