"""Autoscaling: the platform adds and removes web dynos between two bounds, by how long visitors wait for answers.

Of the last minutes' answers 95 % should keep to a target. When they do not, a dyno is added; when fewer dynos would do,
one is removed. One at a time, and not before the figures are all of the present dynos.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.access import demand_not_suspended
from accounts.models import User
from apps import scaling
from apps.metrics import quantile
from apps.models import App, Autoscale
from apps.scaling import MAX_DYNOS, WEB
from core import activity, changes, live
from core.changes import Change
from core.errors import Forbidden, Refusal
from engine.tally import BOUNDS

MOST_P95 = 30_000  # milliseconds: the router waits no longer for an answer
USUAL_P95 = 1000
MINUTE = timedelta(minutes=1)
CALM_MINUTES = 3  # that fewer dynos would have done for, before one is removed
FEWEST = 10  # requests that say anything of how long answers take
IDLE = 0.5  # requests under way at once, for each dyno, at which none has to wait for another
TOLD_EVERY = timedelta(days=1)
AT_MOST = "came to the most dynos of"  # the verb of a change that nobody did
_QUANTILE = 0.95

Spread = Sequence[int]  # how many answers took so long: engine.tally.BOUNDS


@dataclass(frozen=True)
class Rule:
    """What is asked for."""

    minimum: int
    maximum: int
    p95: int  # milliseconds


@dataclass(frozen=True)
class Step:
    """How many dynos there should be now, and why."""

    quantity: int
    reason: str


# --- what people ask for ----------------------------------------------------------------------------------------------


@transaction.atomic
def enable(app: App, rule: Rule, *, notify: bool = False, by: User) -> Autoscale:
    """Have the platform scale the web dynos of `app` from now on. Beyond a bound now, they are brought to it at once.
    `Refusal` for bounds that make no sense and for an app without a web process; `Forbidden` when the owner may not
    have so many dynos as the minimum is."""
    check(rule)
    demand_not_suspended(app)
    web = next((row for row in scaling.locked(app) if row.type == WEB), None)
    if web is None:
        raise Refusal(f"{app.name} has no web dynos to scale. Deploy something with a web process first.")
    row = Autoscale.objects.filter(app=app).first() or Autoscale(app=app, enabled=False)
    before = _words(row) if row.enabled else "off"
    within = min(max(web.quantity, rule.minimum), rule.maximum)
    if within != web.quantity:
        scaling.apply(app, {WEB: {"quantity": within}}, by=by)
    if within != web.quantity or not row.enabled:
        row.changed_at, row.reason, row.told_at = None, "", None
    row.enabled, row.notify, row.by = True, notify, by
    row.minimum, row.maximum, row.p95 = rule.minimum, rule.maximum, rule.p95
    row.save()
    if before != _words(row):
        activity.record(by, "set autoscaling of", app, before=before, after=_words(row))
    live.tell(app.topic)
    return row


@transaction.atomic
def disable(app: App, *, by: User) -> None:
    """Leave the number of web dynos to people. What was asked for stays known, for the next time."""
    if Autoscale.objects.filter(app=app, enabled=True).update(enabled=False):
        activity.record(by, "turned off autoscaling of", app)
        live.tell(app.topic)


def of(app: App) -> Autoscale | None:
    """What was asked for, even if it is off now; None if it never was."""
    return Autoscale.objects.filter(app=app).first()


def check(rule: Rule) -> None:
    """`Refusal` for what can't be asked for."""
    for name, value in (("minimum", rule.minimum), ("maximum", rule.maximum)):
        if not 1 <= value <= MAX_DYNOS:
            text = f"The {name} is between 1 and {MAX_DYNOS} dynos."
            raise Refusal(text, fields={name: text})
    if rule.minimum > rule.maximum:
        text = f"The maximum can't be less than the minimum, {rule.minimum}."
        raise Refusal(text, fields={"maximum": text})
    if not 1 <= rule.p95 <= MOST_P95:
        text = f"The response time to aim for is between 1 and {MOST_P95} ms."
        raise Refusal(text, fields={"p95": text})


def _words(row: Autoscale) -> str:
    told = ", mail at the most" if row.notify else ""
    return f"{row.minimum}–{row.maximum}, p95 {row.p95} ms{told}"


# --- what the platform does -------------------------------------------------------------------------------------------


def decide(
    rule: Rule, quantity: int, minutes: Mapping[datetime, Spread], *, since: datetime | None, now: datetime
) -> Step | None:
    """What is to be done about `quantity` dynos; None: nothing. `minutes` are the answers by the minute's beginning, the
    present one too; `since` is when the dynos were last others than now."""
    if quantity <= 0:
        return None
    within = min(max(quantity, rule.minimum), rule.maximum)
    if within != quantity:
        return Step(within, f"{rule.minimum}–{rule.maximum} asked for")
    if since is not None and now < since + MINUTE:
        return None
    present = _floor(now)
    known_from = _ceil(since) if since else present - CALM_MINUTES * MINUTE
    recent = _sum(minutes, max(known_from, present - MINUTE))
    if sum(recent) >= FEWEST and (took := p95(recent)) > rule.p95:
        return Step(quantity + 1, f"p95 {took} ms over {rule.p95} ms") if quantity < rule.maximum else None
    calm_from = present - CALM_MINUTES * MINUTE
    if quantity == rule.minimum or known_from > calm_from:
        return None
    calm = _sum(minutes, calm_from)
    if not _would_do(rule, quantity, calm, (now - calm_from).total_seconds()):
        return None
    if not sum(calm):
        return Step(quantity - 1, f"no requests for {CALM_MINUTES} min")
    return Step(quantity - 1, f"p95 {p95(calm)} ms, {sum(calm)} requests in {CALM_MINUTES} min")


def _would_do(rule: Rule, quantity: int, calm: Spread, seconds: float) -> bool:
    """Whether one dyno fewer would have been enough: with the same work on fewer, answers take longer in proportion at
    the most; and where hardly two requests meet, they take no longer at all."""
    fewer = quantity - 1
    idle = _busy_seconds(calm) / seconds <= IDLE * fewer
    if sum(calm) < FEWEST:
        return idle
    took = p95(calm)
    return took <= rule.p95 and (idle or took * quantity / fewer <= rule.p95)


def p95(spread: Spread) -> int:
    """About how many milliseconds 95 % of the answers kept to. Of no answers, 0."""
    return round(quantile(spread, _QUANTILE) or 0)


def _busy_seconds(spread: Spread) -> float:
    """About how long all of them took together."""
    return sum((low + high) / 2 * count for (low, high), count in zip(_steps(), spread, strict=False)) / 1000


def _steps() -> list[tuple[int, int]]:
    """The steps of a spread, in milliseconds; what is beyond the last bound counts as that."""
    return list(zip((0, *BOUNDS), (*BOUNDS, BOUNDS[-1]), strict=True))


def _sum(minutes: Mapping[datetime, Spread], first: datetime) -> list[int]:
    """All answers from the minute `first` on."""
    total = [0] * (len(BOUNDS) + 1)
    for minute, spread in minutes.items():
        if minute >= first:
            for at, count in enumerate(spread[: len(total)]):
                total[at] += count
    return total


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _ceil(moment: datetime) -> datetime:
    floor = _floor(moment)
    return floor if floor == moment else floor + MINUTE


@transaction.atomic
def take(row: Autoscale, step: Step, *, seen: int, now: datetime | None = None) -> bool:
    """Do it. False when something changed meanwhile: the settings, the `seen` number of dynos; or somebody else did it.
    Where a limit forbids it, the row says so."""
    now = now or timezone.now()
    web = next((each for each in scaling.locked(row.app) if each.type == WEB), None)
    if web is None or web.quantity != seen:
        return False
    # Compare and set: of two who look, one scales.
    same = Autoscale.objects.filter(
        pk=row.pk, enabled=True, changed_at=row.changed_at, minimum=row.minimum, maximum=row.maximum
    )
    try:
        with transaction.atomic():
            if not same.update(changed_at=now, reason=step.reason):
                return False
            scaling.apply(row.app, {WEB: {"quantity": step.quantity}}, by=None, why=step.reason)
    except (Forbidden, Refusal) as no:
        same.update(reason=f"{step.reason}, but: {no.message}"[:300])
        return False
    if seen < step.quantity == row.maximum:
        _tell(row, now)
    return True


def _tell(row: Autoscale, now: datetime) -> None:
    """Have those who want it told that there is no room above, once a day at the most."""
    if row.notify and (row.told_at is None or row.told_at <= now - TOLD_EVERY):
        Autoscale.objects.filter(pk=row.pk).update(told_at=now)
        changes.note(Change(row.app, AT_MOST, app_id=row.app_id, details={"at": now.isoformat()}))
