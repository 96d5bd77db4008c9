"""The activity of a pipeline, narrowed down: by person, kind of thing, app, verb, through what, dates and words."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet

from core.models import Event
from dashboard import feed
from dashboard.links import link

KINDS: dict[str, tuple[str, Q]] = {
    "": ("All", Q()),
    "promotions": ("Promotions", Q(verb__contains="promot") | Q(kind__in=("promotion", "promotiontarget"))),
    "code": (
        "Builds and releases",
        Q(kind__in=("build", "release", "source")) | Q(verb__contains="build of"),
    ),
    "config": ("Config", Q(verb__contains="config") | Q(kind="configvar")),
    "dynos": (
        "Dynos",
        Q(kind="dyno") | Q(verb__in=("scaled", "restarted", "stopped")) | Q(verb__contains="autoscaling of"),
    ),
    "access": (
        "Access",
        Q(kind__in=("membership", "invitation", "collaborator"))
        | Q(verb__contains="shar")
        | Q(verb__contains="offer")
        | Q(verb__in=("transferred", "accepted", "declined", "set the rules of")),
    ),
    "stages": ("Stages", Q(kind="stage") | Q(kind="app", verb__in=("added", "moved", "removed"))),
}
RECENT = 5000  # events whose people and verbs can be chosen
ITSELF = "pipeline:"  # the choice of what is about no app; a stage is `stage:production`
BATCH = 500
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # what makes a cell a formula
COLUMNS = ("time", "person", "did", "kind", "thing", "particulars", "about", "through", "event", "request")


@dataclass
class Filter:
    """What of the activity is asked for; empty: all of it."""

    about: str = ""
    person: str = ""
    where: str = ""
    verb: str = ""
    through: str = ""
    q: str = ""
    since: date | None = None
    until: date | None = None
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> "Filter":
        """As the address says. A kind or way that we do not know asks for everything, a bad date is told."""
        text = {
            key: str(sent.get(key, "")).replace("\0", "").strip()[:254]
            for key in ("about", "person", "where", "verb", "through", "q", "since", "until")
        }
        made = cls(person=text["person"], where=text["where"], verb=text["verb"], q=text["q"])
        made.about = text["about"] if text["about"] in KINDS else ""
        made.through = text["through"] if text["through"] in feed.THROUGH else ""
        made.since, made.until = made._date(text["since"]), made._date(text["until"])
        return made

    def _date(self, text: str) -> date | None:
        try:
            return date.fromisoformat(text) if text else None
        except ValueError:
            self.problems.append(f"“{text[:40]}” is no date. Write it like {date.today():%Y-%m-%d}.")
            return None

    @property
    def query(self) -> str:
        """As it stands in an address, without the page; ends in `&` unless it is empty."""
        wanted = {key: getattr(self, key) for key in ("about", "person", "where", "verb", "through", "q")}
        days = {key: day.isoformat() for key in ("since", "until") if (day := getattr(self, key))}
        text = urlencode({key: value for key, value in {**wanted, **days}.items() if value})
        return f"{text}&" if text else ""

    def apply(self, events: QuerySet[Event], places: Mapping[str, Sequence[Any]]) -> QuerySet[Event]:
        """Those of `events` that are asked for. `places` has the ids of the apps of each place that can be chosen."""
        events = events.filter(KINDS[self.about][1])
        if self.person:
            events = events.filter(actor=self.person)
        if self.where == ITSELF:
            events = events.filter(app_id=None)
        elif self.where:
            events = events.filter(app_id__in=places.get(self.where, ()))
        if self.verb:
            events = events.filter(verb=self.verb)
        if self.through:
            events = events.filter(through=self.through)
        for word in self.q.split():
            events = events.filter(
                Q(label__icontains=word) | Q(verb__icontains=word) | Q(actor__icontains=word)
            )
        if self.since:
            events = events.filter(at__gte=_midnight(self.since))
        if self.until and self.until < date.max:
            events = events.filter(at__lt=_midnight(self.until + timedelta(days=1)))
        return events


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def choices(events: QuerySet[Event], chosen: Filter) -> dict[str, list[str]]:
    """The people and verbs that can be chosen: of the newest events, and what is chosen already. One query."""
    newest = events.order_by("-at")[:RECENT].values("pk")
    found = list(Event.objects.filter(pk__in=newest).order_by().values_list("actor", "verb").distinct())
    people, verbs = {actor for actor, _ in found}, {verb for _, verb in found}
    return {
        "persons": sorted(people | ({chosen.person} if chosen.person else set())),
        "verbs": sorted(verbs | ({chosen.verb} if chosen.verb else set())),
    }


def place(event: Event, app: str) -> str:
    """Where the thing of an event of the app of that name is to be seen; empty when it has no page."""
    if event.kind == "release" and event.label.removeprefix("v").isdecimal():
        return link("release", app, int(event.label[1:]))
    return link("build", app, event.object_id) if event.kind == "build" else ""


def keys(event: Event) -> list[tuple[str, str]]:
    """The config vars that it was about, each with what was done to it."""
    found = event.details.get("keys")
    if isinstance(found, dict):
        return sorted((str(key), str(what)) for key, what in found.items())
    return [(str(key), "") for key in found] if isinstance(found, list) else []


def as_csv(events: QuerySet[Event], names: Mapping[Any, str], otherwise: str) -> Iterator[str]:
    """The events as CSV, newest first, piece by piece; what a spreadsheet would take for a formula is made text.
    `names` are the apps', `otherwise` what is about none of them."""
    yield _row(COLUMNS)
    last: Event | None = None
    while True:
        older = Q() if last is None else Q(at__lt=last.at) | Q(at=last.at, pk__lt=last.pk)
        batch = list(events.filter(older).order_by("-at", "-pk")[:BATCH])
        if not batch:
            return
        yield "".join(
            _row(_cells(entry, names.get(entry.event.app_id, otherwise))) for entry in feed.entries(batch)
        )
        last = batch[-1]


def _cells(entry: feed.Entry, about: str) -> tuple[str, ...]:
    event = entry.event
    at = event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = (event.actor, event.verb, event.kind, event.label, entry.particulars, about, entry.through)
    return (at, *told, str(event.pk), event.request_id)


def _row(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([harmless(cell) for cell in cells])
    return line.getvalue()


def harmless(cell: str) -> str:
    """`cell` so that a spreadsheet shows it: an apostrophe before what would be computed."""
    return f"'{cell}" if cell.lstrip(" ").startswith(RISKY) else cell
