"""Many apps at once: how each stands, in a number of queries that does not grow with them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import F, OuterRef, Q, Subquery

from apps.models import App, Dyno, Formation
from dashboard import standing
from dashboard.standing import ProcessType, Standing
from releases.models import OPEN, Build, Release

DYNO = (
    *("app_id", "type", "number", "release_version", "one_off", "state", "state_at", "crashes"),
    *("start_after", "exit_code", "reason"),
)
SLUG = ("app_id", "digest", "commit", "branch", "message", "author")
# The columns of a release that cards and lists show. A thousand sealed configs are not among them.
SHOWN = (
    *("app_id", "version", "kind", "status", "current", "description", "reason", "note", "steps"),
    *("process_types", "created_at", "started_at", "finished_at", "from_release__app__name"),
    *("canary_percent", "canary_until", "by__name", "by__email"),
    *(f"slug__{name}" for name in SLUG),
)


@dataclass
class AppNow:
    """What an app runs, what is under way, and what failed since."""

    app: App
    current: Release | None = None
    releasing: Release | None = None  # pending or running; the one whose turn it is
    newest: Release | None = None  # by version, whatever became of it
    build: Build | None = None  # the latest
    formation: list[Formation] = field(default_factory=list)
    dynos: list[Dyno] = field(default_factory=list)
    lines: list[ProcessType] = field(default_factory=list)

    @property
    def building(self) -> Build | None:
        """The latest build, while it is under way."""
        return self.build if self.build and self.build.status in OPEN else None

    @property
    def failed_build(self) -> Build | None:
        """The latest build, if it failed and nothing was released since."""
        build = self.build
        if build is None or build.status != Build.Status.FAILED or self.releasing:
            return None
        return build if self.newest is None or self.newest.created_at < build.created_at else None

    @property
    def failed_release(self) -> Release | None:
        """The newest release, if it failed: what serves is an older one."""
        newest = self.newest
        return newest if newest and newest.status == Release.Status.FAILED and not self.building else None

    @property
    def crashed(self) -> list[Dyno]:
        """The dynos of the formation that are down and should not be."""
        return [dyno for line in self.lines for dyno in line.dynos if dyno.state == Dyno.State.CRASHED]

    @property
    def failing(self) -> list[Dyno]:
        """Those, and the ones that start again after a crash."""
        again = [dyno for line in self.lines for dyno in line.dynos if dyno.state == Dyno.State.STARTING]
        return [*self.crashed, *(dyno for dyno in again if dyno.crashes)]

    @property
    def state(self) -> Standing:
        """A glyph and a word for all of it."""
        return standing.of_app(self.app, self.current, self.building, self.releasing, self.lines)


def look(apps: Iterable[App]) -> dict[UUID, AppNow]:
    """How each of `apps` stands, by the app's id: four queries, however many they are."""
    found = {app.pk: AppNow(app) for app in apps}
    for release in _releases(found):
        _place(found[release.app_id], release)
    latest = Build.objects.filter(app=OuterRef("app")).order_by("-created_at").values("pk")[:1]
    for build in Build.objects.filter(app__in=found, pk=Subquery(latest)).select_related("source"):
        found[build.app_id].build = build
    for row in Formation.objects.filter(app__in=found):
        found[row.app_id].formation.append(row)
    dynos = defaultdict(list)
    for dyno in Dyno.objects.filter(app__in=found, one_off=False).only(*DYNO):
        dynos[dyno.app_id].append(dyno)
    for pk, now in found.items():
        now.dynos = _of_release(dynos[pk], now.current)
        halted = now.app.suspended_at is not None
        now.lines = standing.process_types(now.formation, now.current, now.dynos, halted=halted)
    return found


def _releases(found: Iterable[UUID]) -> Iterable[Release]:
    wanted = Q(current=True) | Q(status__in=OPEN) | Q(version=F("app__last_version"))
    rows = Release.objects.filter(wanted, app__in=found).order_by("version")
    return rows.select_related("slug", "by", "from_release__app").only(*SHOWN)


def _place(now: AppNow, release: Release) -> None:
    if release.current:
        now.current = release
    if release.status in OPEN and (now.releasing is None or release.status == Release.Status.RUNNING):
        now.releasing = release
    now.newest = release


def _of_release(dynos: list[Dyno], current: Release | None) -> list[Dyno]:
    """The dynos that serve; those of a release on its way stand beside them and do not count yet."""
    serving = [dyno for dyno in dynos if current and dyno.release_version == current.version]
    return serving or dynos
