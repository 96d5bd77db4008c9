"""How an app and the things in it stand, as a glyph and a word."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.utils import timezone

from apps.models import App, Dyno, Formation
from dashboard.words import trial
from releases.models import Build, Release

OWN_COMMAND = "the image’s own command"


@dataclass(frozen=True)
class Standing:
    """`kind` is a key of `templatetags.slipway.STATES`."""

    kind: str
    label: str


BUILD = {
    "pending": Standing("queued", "Queued"),
    "running": Standing("building", "Building"),
    "succeeded": Standing("passed", "Built"),
    "failed": Standing("failed", "Build failed"),
    "cancelled": Standing("stopped", "Cancelled"),
}
RELEASE = {
    "pending": Standing("queued", "Queued"),
    "running": Standing("releasing", "Releasing"),
    "succeeded": Standing("passed", "Released"),
    "failed": Standing("failed", "Failed"),
    "expired": Standing("stopped", "Expired"),
}
DYNO = {
    "starting": Standing("releasing", "Starting"),
    "up": Standing("live", "Up"),
    "crashed": Standing("crashed", "Crashed"),
    "down": Standing("stopped", "Down"),
    "idle": Standing("idle", "Idle"),
}


def of_build(build: Build) -> Standing:
    """How a build stands."""
    if build.cancel_asked and build.status in ("pending", "running"):
        return Standing("waiting", "Cancelling")
    return BUILD[build.status]


def of_release(release: Release) -> Standing:
    """How a release stands: the current one is live."""
    return Standing("live", "Live") if release.current else RELEASE[release.status]


def on_trial(release: Release) -> str:
    """How a release stands that has a share of the requests to prove itself with; empty when it has none now."""
    until = release.canary_until
    at = release.steps[-1]["name"] if release.steps else ""
    if until is None or at != "canary" or release.status != Release.Status.RUNNING:
        return ""
    return trial(release.canary_percent, (until - timezone.now()).total_seconds())


def of_dyno(dyno: Dyno) -> Standing:
    """How a dyno stands; a one-off dyno that ended says how."""
    if dyno.one_off and dyno.state in ("down", "crashed"):
        if dyno.exit_code == 0:
            return Standing("passed", "Done")
        return Standing("failed", "Failed" if dyno.exit_code is not None else "Ended")
    if dyno.one_off and dyno.state == "up":
        return Standing("building", "Running")
    return DYNO[dyno.state]


@dataclass
class ProcessType:
    """A line of the formation: what was asked for, and the dynos that there are."""

    type: str
    command: str
    quantity: int
    size: str
    dynos: list[Dyno] = field(default_factory=list)
    halted: bool = False  # an operator keeps all its dynos down

    @property
    def missing(self) -> int:
        """Dynos that are wanted and not there yet."""
        return 0 if self.halted else max(self.quantity - len(self.dynos), 0)

    def _count(self, state: str) -> int:
        return sum(dyno.state == state for dyno in self.dynos)

    @property
    def up(self) -> int:
        return self._count("up")

    @property
    def starting(self) -> int:
        return self._count("starting")

    @property
    def crashed(self) -> int:
        return self._count("crashed")

    @property
    def idle(self) -> int:
        return self._count("idle")

    @property
    def words(self) -> str:
        """“3 up, 1 starting”."""
        parts = [
            (self.up, "up"),
            (self.starting, "starting"),
            (self.crashed, "crashed"),
            (self.idle, "asleep"),
        ]
        said = [f"{number} {word}" for number, word in [*parts, (self.missing, "to come")] if number]
        return ", ".join(said) or "Off"

    @property
    def hue(self) -> str:
        """The tone of those words."""
        if self.crashed:
            return "bad"
        if self.starting or self.missing:
            return "busy"
        return "ok" if self.up else "idle"


def process_types(
    formation: Iterable[Formation], current: Release | None, dynos: Sequence[Dyno], *, halted: bool
) -> list[ProcessType]:
    """The formation, line by line, `web` first. The release command is no process to scale. `halted` says that the
    app is suspended."""
    types = current.process_types if current else {}
    commands = {type: command or OWN_COMMAND for type, command in types.items()}
    scaled = [row for row in formation if row.type != "release"]
    lines = [ProcessType(row.type, commands.get(row.type, ""), row.quantity, row.size) for row in scaled]
    for line in lines:
        line.halted = halted
        line.dynos = [dyno for dyno in dynos if dyno.type == line.type and not dyno.one_off]
    return sorted(lines, key=lambda line: (line.type != "web", line.type))


def of_app(
    app: App,
    current: Release | None,
    build: Build | None,
    release: Release | None,
    lines: Sequence[ProcessType],
) -> Standing:
    """How an app stands. `build` and `release` are those under way, if any."""
    if app.suspended_at:
        return Standing("waiting", "Suspended")
    if build is not None:
        return of_build(build)
    if release is not None:
        return of_release(release)
    if app.maintenance:
        return Standing("waiting", "Maintenance")
    if current is None or current.slug is None:
        return Standing("idle", "Not deployed yet")
    return _of_dynos(lines)


def _of_dynos(lines: Sequence[ProcessType]) -> Standing:
    wanted = sum(line.quantity for line in lines)
    up, crashed = sum(line.up for line in lines), sum(line.crashed for line in lines)
    if not wanted:
        return Standing("stopped", "Off")
    if crashed and not up:
        return Standing("crashed", "Crashed")
    if crashed:
        return Standing("degraded", f"{up} of {wanted} up")
    if not up and any(line.idle for line in lines):
        return Standing("idle", "Sleeping")
    return Standing("live", "Live") if up >= wanted else Standing("releasing", "Starting")
