"""What each gate says of a passage, from facts as they are now.

A gate *waits* while it may still come to hold by itself or by somebody's word, *fails* when something has to change
first, and *passes*. Nothing of this is kept but a copy for boards (`Passage.shown`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from apps.models import App, Crash
from apps.traffic import figures
from ci import results
from flow import access, clock, hours, kinds
from flow.models import Gate, Line, Passage, Probe
from releases.models import Release, Slug

PASSED, WAITING, FAILED = "passed", "waiting", "failed"
UNTRIED = "not tried yet"
LEAST_REQUESTS = 10  # before the share of errors and the slowest answers say anything
SOON = timedelta(seconds=5)
NAMED = 5


@dataclass(frozen=True)
class GateState:
    """What a gate says now."""

    gate: str  # its id
    kind: str
    rule: str  # “10 min healthy”
    state: str  # passed, waiting, failed
    words: str  # “healthy for 4 of 10 min”
    people: tuple[str, ...] = ()  # whom it waits for, by name
    until: str = ""  # when it says something else at the latest, if nothing happens; ISO 8601

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return self.state == PASSED

    def stored(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {**asdict(self), "people": list(self.people)}


def restored(found: Mapping[str, Any]) -> GateState:
    """What `stored` made."""
    return GateState(**{**found, "people": tuple(found["people"])})


@dataclass(frozen=True)
class Case:
    """What gates are asked about: a slug that `source` runs, on its way over a line; `passage` is None when it goes there
    in no passage of that line, since somebody skips stages or names an older release."""

    line: Line
    source: App
    slug: Slug
    passage: Passage | None
    now: datetime


def states(passage: Passage, now: datetime | None = None) -> list[GateState]:
    """What each gate of its line says of it, in order."""
    case = Case(passage.line, passage.source, passage.slug, passage, now or timezone.now())
    return [state_of(gate, case) for gate in passage.line.gates.all()]


def state_of(gate: Gate, case: Case) -> GateState:
    """What one gate says."""
    rule = kinds.in_words(gate.kind, gate.settings)
    state, words, people, until = _ASK[gate.kind](gate, case)
    return GateState(
        str(gate.pk), gate.kind, rule, state, words, tuple(people), until.isoformat() if until else ""
    )


def serving_since(source: App, slug: Slug) -> datetime | None:
    """Since when `source` runs this very slug without a break; None when it does not run it now."""
    rows = Release.objects.filter(app=source, status=Release.Status.SUCCEEDED).exclude(slug=None)
    found = None
    for other, at, current in rows.order_by("-version").values_list("slug", "finished_at", "current")[:50]:
        if found is None and not (current and other == slug.pk):
            return None
        if other != slug.pk:
            break
        found = at
    return found


Answer = tuple[str, str, Sequence[str], datetime | None]


def _ci(gate: Gate, case: Case) -> Answer:
    said = gate.settings
    if not case.slug.commit:
        return FAILED, "no commit is known of this code, so no tests either", (), None
    found = results.result_of(
        case.line.stage.pipeline,
        case.slug.commit,
        runs=said["runs"],
        host=said["host"],
        contexts=said["contexts"],
    )
    state = {"passed": PASSED, "failed": FAILED}.get(found.state, WAITING)
    return state, found.words, (), None


def _healthy(gate: Gate, case: Case) -> Answer:
    said, now = gate.settings, case.now
    since = serving_since(case.source, case.slug)
    if since is None:
        return FAILED, f"{case.source.name} does not run this release", (), None
    begin = max(filter(None, (since, clock.floor(now))))
    crash = Crash.objects.filter(app=case.source, at__gt=begin).order_by("-at").first()
    begin = max(begin, crash.at) if crash else begin
    whole = timedelta(minutes=said["minutes"])
    seen = figures(case.source, max(begin, now - max(whole, timedelta(minutes=1))))
    if seen.requests >= LEAST_REQUESTS:
        if said["errors"] is not None and seen.error_rate > said["errors"]:
            words = f"{seen.error_rate:.1f} % of {seen.requests} answers are errors, {said['errors']:g} % is the limit"
            return FAILED, words, (), now + SOON
        if said["p95"] is not None and (seen.p95 or 0) > said["p95"]:
            return FAILED, f"p95 is {seen.p95} ms, {said['p95']} ms is the limit", (), now + SOON
    left = begin + whole - now
    if left > timedelta(0):
        done = max(0, int((now - begin).total_seconds() // 60))
        words = f"healthy for {done} of {said['minutes']} min"
        if crash:
            words += f", since {crash.dyno} crashed"
        return WAITING, words, (), begin + whole
    return PASSED, f"healthy for {said['minutes']} min", (), now + 3 * SOON


def _approval(gate: Gate, case: Case) -> Answer:
    said, needed = gate.settings, gate.settings["count"]
    verdicts = list(case.passage.verdicts.select_related("user").all()) if case.passage else []
    counted = [one for one in verdicts if case.passage and access.decides(one.user, gate, case.passage)]
    for no in counted:
        if not no.approves:
            why = f": {no.note}" if no.note else ""
            return FAILED, f"{no.user.get_full_name()} said no{why}", (), None
    yes = [one for one in counted if one.approves]
    if len(yes) >= needed:
        return PASSED, f"approved by {', '.join(one.user.get_full_name() for one in yes)}", (), None
    have = {one.user_id for one in yes}
    people = [user.get_full_name() for user in _named(said) if user.pk not in have]
    words = "waits for approval" if needed == 1 else f"{len(yes)} of {needed} approvals"
    return WAITING, words if said["people"] else f"{words} by {_whose(said)}", people, None


def _whose(said: Mapping[str, Any]) -> str:
    """Who may say yes where nobody is named."""
    by = {("admin",): "an admin", ("member",): "a member"}.get(tuple(said["roles"]), "who may promote there")
    if {"admin", "member"} <= set(said["roles"]):
        by = "a member or admin"
    return by if said["own"] else f"{by}, not the author"


def _named(said: Mapping[str, Any]) -> list[User]:
    return list(User.objects.filter(pk__in=said["people"], is_active=True)[:NAMED]) if said["people"] else []


def _probed(gate: Gate, case: Case) -> Answer:
    if case.passage is None:
        return WAITING, "not tried for this release", (), None
    rows = Probe.objects.filter(gate=gate, passage=case.passage, created_at__gte=gate.updated_at)
    probe = rows.order_by("-created_at").first()
    if probe is None:
        return WAITING, UNTRIED, (), None
    if probe.status == Probe.Status.SUCCEEDED:
        return PASSED, probe.reason or "yes", (), None
    if probe.status == Probe.Status.FAILED:
        return FAILED, probe.reason or "no", (), None
    return WAITING, probe.reason or "being tried", (), None


def _window(gate: Gate, case: Case) -> Answer:
    said = gate.settings
    days, begin, end, zone = said["days"], kinds.minute(said["from"]), kinds.minute(said["to"]), said["zone"]
    turn = hours.changes_at(case.now, days, begin, end, zone)
    if hours.within(case.now, days, begin, end, zone):
        return PASSED, f"open until {said['to']}", (), turn
    return WAITING, f"opens {kinds.in_words(gate.kind, said)}, {zone}", (), turn


_ASK: dict[str, Callable[[Gate, Case], Answer]] = {
    Gate.Kind.CI: _ci,
    Gate.Kind.HEALTHY: _healthy,
    Gate.Kind.APPROVAL: _approval,
    Gate.Kind.COMMAND: _probed,
    Gate.Kind.HTTP: _probed,
    Gate.Kind.WEBHOOK: _probed,
    Gate.Kind.WINDOW: _window,
}
