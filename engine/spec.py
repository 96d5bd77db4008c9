"""What the engine is told and what it answers: plain data, no models.

A *process spec* is one start of one dyno; its `id` is unique for that very start, so a driver can be told the same
twice. `plan` compares what is wanted with what is found.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MB = 1024 * 1024


@dataclass(frozen=True)
class Size:
    """What a dyno of a size may use."""

    memory: int  # bytes
    cpu_shares: int
    pids: int = 256


# Heroku's names, so that an app.json or a Procfile habit finds what it expects.
SIZES: dict[str, Size] = {
    "eco": Size(512 * MB, 512),
    "basic": Size(512 * MB, 512),
    "standard-1x": Size(512 * MB, 1024),
    "standard-2x": Size(1024 * MB, 2048),
    "performance-m": Size(2560 * MB, 4096),
    "performance-l": Size(14 * 1024 * MB, 8192, pids=4096),
}


@dataclass(frozen=True)
class Attach:
    """That somebody will sit at a one-off dyno's streams, and whether through a terminal of this many characters."""

    tty: bool = True
    columns: int = 80
    lines: int = 24


class Attached(Protocol):
    """Our ends of an attached dyno's streams. Descriptors do not block; with a terminal both are the same."""

    reader: int
    writer: int

    def end_input(self) -> None:
        """Tell it that no more input comes."""
        ...

    def resize(self, columns: int, lines: int) -> None:
        """Tell it that its terminal has another size; nothing without a terminal."""
        ...

    def close(self) -> None:
        """Let go of both; a terminal hangs up on its processes."""
        ...


@dataclass(frozen=True)
class ProcessSpec:
    """One start of one dyno."""

    id: str
    app: str  # the app's UUID
    dyno: str  # "web.1"
    command: str  # given to bash, in the slug's folder, after .profile.d
    slug: str  # "sha256:…", the digest of the slug to run; empty when there is an image
    env: Mapping[str, str] = field(repr=False)
    slot: int  # the app's number; picks its system user
    size: Size = SIZES["standard-1x"]
    web: bool = False  # gets a port and must answer on it
    health_path: str = ""  # must answer below 400; empty: accepting a connection is enough
    boot_seconds: float = 60
    stop_seconds: float = 30
    one_off: bool = False  # runs once; never "crashed", only "down" with an exit code
    seconds: float | None = None  # a one-off's time limit
    stream: str = ""  # log stream for its lines; empty: the app's own
    attach: Attach | None = None  # its streams go to who attaches, not into the log
    stack: str = "slipway-24"  # what the slug was built for; a driver of containers has an image of it
    inside: str = (
        ""  # a start of a dyno of the same app: this runs in its walls, by its name, and ends with it
    )
    image: str = ""  # runs instead of a slug on its stack, with this reference; not every driver can
    volumes: tuple[str, ...] = ()  # folders of this machine that it finds at the same place, to write to


@dataclass(frozen=True)
class DynoState:
    """What was seen of one start of one dyno."""

    id: str
    dyno: str
    state: str  # starting, up, crashed, down
    host: str = "127.0.0.1"
    port: int | None = None
    pid: int | None = None
    exit_code: int | None = None
    reason: str = ""  # for people: "Error R10 (Boot timeout) -> …"
    since: float = 0.0  # seconds since the epoch
    memory: int = 0  # bytes that it used when somebody last looked; 0: nobody has yet


@dataclass(frozen=True)
class Line:
    """One line of output. The source, dyno and time are the platform's, never taken from the text."""

    source: str  # "app" or "heroku"
    dyno: str  # "web.1", "router", "api", "build", "release.123"
    text: bytes  # as it came, without its newline, 10,000 bytes at most
    at: float  # seconds since the epoch


class LineSink(Protocol):
    """Where lines go: `stream` is `app/<uuid>`, `build/<uuid>` or `release/<uuid>`."""

    def __call__(self, stream: str, lines: Sequence[Line]) -> None: ...


class Driver(Protocol):
    """Where dynos run. Told the wished state, asked for the real one; every call may be repeated, and none waits
    for a dyno."""

    def apply(self, app: str, wanted: Sequence[ProcessSpec]) -> None:
        """Have exactly `wanted` running for `app`, one-offs apart."""
        ...

    def observe(self, app: str) -> list[DynoState]:
        """Every dyno of `app` that runs, or has ended and was not forgotten yet."""
        ...

    def apps(self) -> set[str]:
        """Every app that `observe` tells something of: where dynos outlive the platform, maybe one that is gone."""
        ...

    def run(self, spec: ProcessSpec) -> str:
        """Start a one-off dyno, once per `spec.id`; returns that id."""
        ...

    def attach(self, dyno_id: str) -> Attached | None:
        """The streams of a one-off dyno that waits for somebody: to the first who asks, once it has started.
        None while it has not, or when there is no such dyno, or somebody has them."""
        ...

    def stop(self, app: str, dyno_id: str) -> None:
        """End one dyno: SIGTERM to all its processes, SIGKILL after its stop time. Forgets it once it has ended."""
        ...

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Have `listener(app)` called whenever a dyno of `app` changed its state; it must be quick."""
        ...

    def close(self) -> None:
        """Free everything of ours. Dynos that are children of the platform are stopped and waited for (30 s and a little
        at most); those of an engine of their own go on, and the next driver there takes them over."""
        ...


@dataclass(frozen=True)
class Backend:
    """A web dyno that requests can go to."""

    id: str  # the dyno's spec id
    dyno: str
    host: str
    port: int
    release: int = 0  # the version that it runs


@dataclass(frozen=True)
class Certificate:
    """What a host shows to clients that come by TLS: both PEM, the chain in order, its own certificate first."""

    chain: str = field(repr=False)
    key: str = field(repr=False)


@dataclass(frozen=True)
class Stake:
    """An app's part in a host that it shares with others: see `engine.balancing`."""

    host: str  # lower case, without port
    weight: int  # beside those of the others; 0: it gets none
    key: str  # names the app to visitors who stay with it, and to nobody else
    sticky: bool = False  # whether they do


@dataclass(frozen=True)
class Route:
    """All that the router knows of an app. Putting a route replaces the app's former one as a whole."""

    app: str  # the app's UUID
    name: str
    hosts: frozenset[str]  # lower case, without port
    backends: tuple[Backend, ...] = ()
    maintenance: bool = False
    why_none: str = (
        "H14"  # the error code without a backend: H10 crashed, H14 no web dynos, H20 booting, H84 suspended
    )
    certificates: Mapping[str, Certificate] = field(
        default_factory=dict, hash=False
    )  # by host; those without have none of their own
    challenges: Mapping[str, str] = field(
        default_factory=dict, hash=False
    )  # what is answered to a certificate authority, by the token that it asks for
    release: int = 0  # the version that is current: whose it counts as when no dyno answers
    asleep: bool = False  # no backend is there since nobody came: requests wait while the app is woken
    canary: tuple[Backend, ...] = ()  # of a release on trial beside the current one
    share: int = 0  # percent of the requests that go to those
    stakes: tuple[Stake, ...] = ()  # in hosts that it shares with other apps

    @property
    def reached(self) -> tuple[Backend, ...]:
        """Every backend that gets requests."""
        return self.backends + self.canary

    def stake_in(self, host: str) -> Stake | None:
        """Its stake in a host that apps share."""
        return next((stake for stake in self.stakes if stake.host == host), None)


class Router(Protocol):
    """Passes requests to web dynos by host name."""

    def put(self, route: Route) -> None:
        """Replace an app's route; in effect for every request that arrives after this returns."""
        ...

    def drop(self, app: str) -> None:
        """Forget an app."""
        ...

    def in_flight(self, backend_id: str) -> int:
        """How many requests a backend is at work on, tunnels apart."""
        ...

    def quiet(self, app: str) -> float:
        """The seconds since a request or a tunnel of an app was last under way; 0 while one is. What was before the
        router began to look it does not know: it is taken to have begun with a request."""
        ...
