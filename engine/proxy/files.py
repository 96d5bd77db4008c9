"""The folder that HAProxy starts from. Every file in it is there as a whole or not at all, and together they always are
the last known routes: who changes them holds the lock, writes first and tells the running HAProxy afterwards.

    haproxy.cfg    told once                        backends/NNNN.cfg   an app's dynos, or a spare place for an app
    hosts.map      host name -> place               certs/, certs.list  certificates with their keys, and their hosts
    apps.map       place -> app, or why not         pages.map           words for visitors
    canaries.map   place -> the percent of its requests that go to another place, and that
    shares.map     what HAProxy knows of hosts that apps share, see `engine.proxy.shares`; shares.json says who they are
    unsaid         is there while HAProxy may know less than the files say
    worker         the HAProxy process that is known to have read them
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SPARE = ""  # the app of a place that nobody has


@dataclass
class Place:
    """What the files say of one app; `slot` is the name of its backend."""

    slot: str
    app: str = SPARE
    state: str = ""  # the value in apps.map: the app, its version, and why there is no answer
    hosts: list[str] = field(default_factory=list)
    servers: dict[str, str] = field(default_factory=dict)  # address by name
    certificates: dict[str, str] = field(default_factory=dict)  # digest by host
    challenges: dict[str, str] = field(default_factory=dict)  # answer by path
    canary: str = ""  # the value in canaries.map
    stakes: list[dict[str, Any]] = field(default_factory=list)  # in hosts that it shares, each with its rank


class Folder:
    """Paths and files under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "haproxy.cfg"
        self.backends = root / "backends"
        self.certs = root / "certs"
        self.cert_list = root / "certs.list"
        self.default_cert = self.certs / "default.pem"
        self.hosts = root / "hosts.map"
        self.apps = root / "apps.map"
        self.challenges = root / "challenges.map"
        self.canaries = root / "canaries.map"
        self.shares = root / "shares.map"
        self.sharing = root / "shares.json"
        self.pages = root / "pages.map"
        self.kinds = root / "kinds.map"
        self.socket = root / "admin.sock"  # HAProxy's
        self.master = root / "master.sock"
        self.lines = root / "lines.sock"  # the conductor's
        self.guests = root / "guests.sock"
        self.waking = root / "waking.sock"
        self.unsaid = root / "unsaid"
        self.said = root / "worker"

    def make(self) -> None:
        """Make the folders, for our own user alone: private keys lie in them."""
        for path in (self.root, self.backends, self.certs):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; waits for whoever else does."""
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def places(self) -> dict[str, str]:
        """Which app has which place; `SPARE` for none."""
        found = {}
        for name in sorted(path.name for path in self.backends.iterdir()):
            slot, _, rest = name.removesuffix(".cfg").partition("~")
            if name.endswith(".cfg"):
                found[slot] = rest
        return found

    def read(self, slot: str, app: str) -> Place:
        """What the files say of a place."""
        first, _, _ = self._backend(slot, app).read_text().partition("\n")
        return Place(**json.loads(first.removeprefix("# ")))

    def write(self, place: Place, text: str, *, former: str) -> None:
        """Write a place with the text of its backend; `former` is the app that had it."""
        path = self._backend(place.slot, place.app)
        write(path, f"# {json.dumps(asdict(place))}\n{text}")
        if former != place.app:
            self._backend(place.slot, former).unlink(missing_ok=True)

    def left(self, slot: str) -> float:
        """When a spare place was left."""
        return self._backend(slot, SPARE).stat().st_mtime

    def worker(self) -> str:
        """The process that is known to have read the files; empty for none."""
        return self.said.read_text() if self.said.exists() else ""

    def cert(self, host: str) -> Path:
        """Where the certificate for `host` is."""
        return self.certs / f"{host.replace('*', '_')}.pem"

    def _backend(self, slot: str, app: str) -> Path:
        return self.backends / f"{slot}~{app}.cfg"


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by our own user alone."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(temporary).rename(path)


def read_map(path: Path) -> dict[str, str]:
    """The entries of a map."""
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split(" ", 1) for line in lines if line)


def write_map(path: Path, entries: Mapping[str, str]) -> None:
    """Replace a map."""
    write(path, "".join(f"{key} {value}\n" for key, value in sorted(entries.items())))
