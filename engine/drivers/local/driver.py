"""The local driver: dynos are processes of this machine, children of the platform."""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.errors import EngineError
from engine.drivers.local import cgroups, isolation, process
from engine.drivers.local.dyno import Dyno
from engine.drivers.local.ports import Ports
from engine.drivers.local.services import Services
from engine.drivers.local.visitor import visit
from engine.drivers.loop import Loop
from engine.drivers.output import Outlet
from engine.drivers.start import CLOSE_SECONDS
from engine.plan import plan
from engine.spec import Attached, DynoState, LineSink, ProcessSpec

log = logging.getLogger(__name__)
PORTS = range(20000, 30000)
FIRST_UID = 30000
SAMPLE_SECONDS = 20.0


class LocalDriver:
    """Runs dynos as processes below `root`, a folder of its own (one driver at a time).

    `sink` gets all lines, `tree(digest)` returns the unpacked, read-only slug or raises `EngineError`, `instance` tells
    this platform's processes from another's on the machine. `hide` are folders that no dyno may look into; `ports` are
    for web dynos; dynos of the app with slot n run as the user `first_uid + n` when the platform is root. `bare` leaves
    out control groups and private views of the files, as on systems that have none.
    """

    def __init__(
        self,
        root: Path,
        *,
        sink: LineSink,
        tree: Callable[[str], Path],
        instance: str,
        hide: Iterable[Path] = (),
        ports: range = PORTS,
        first_uid: int = FIRST_UID,
        sample_seconds: float = SAMPLE_SECONDS,
        bare: bool = False,
    ) -> None:
        self._root = root.resolve()
        self._root.mkdir(parents=True, exist_ok=True)
        self._root.chmod(0o711)
        self._lock_file = _lock(self._root)
        tag = f"{instance}-{hashlib.sha256(os.fsencode(self._root)).hexdigest()[:8]}"
        self._cgroups = None if bare else cgroups.detect(tag)
        self._sweep(tag)
        hidden = [self._root, *(path.resolve() for path in hide)]
        level = isolation.none(self._root) if bare else isolation.detect(self._root, hidden)
        self.level = level.level
        self.isolation = level.sentence + _limits(self._cgroups)
        self.controllers = sorted(self._cgroups.controllers) if self._cgroups else []
        self._sample_seconds = sample_seconds
        self._lock = threading.Condition()
        self._dynos: dict[str, Dyno] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._closed = False
        self._loop = Loop("local-driver")
        self._outlet = Outlet(sink, "local-driver-lines")
        self._pool = ThreadPoolExecutor(4, "local-driver-work")
        self._launches = ThreadPoolExecutor(2, "local-driver-launch")
        self._health = ThreadPoolExecutor(4, "local-driver-health")
        self._services = Services(
            loop=self._loop,
            pool=self._pool,
            launches=self._launches,
            health=self._health,
            outlet=self._outlet,
            ports=Ports(ports),
            level=level,
            cgroups=self._cgroups,
            tree=tree,
            folder=self._root / "dynos",
            tag=tag,
            first_uid=first_uid,
            changed=self._changed,
            cleaned=self._cleaned,
        )
        self._outlet.start()
        self._loop.start()
        self._loop.post(self._sample_later)

    # --- engine.spec.Driver -------------------------------------------------------------------------------------

    def apply(self, app: str, wanted: Sequence[ProcessSpec]) -> None:
        """Have exactly `wanted` running for `app`, one-offs apart. Returns at once."""
        with self._lock:
            self._check_open()
            dynos = {
                id: dyno for id, dyno in self._dynos.items() if dyno.spec.app == app and not dyno.spec.one_off
            }
            todo = plan(wanted, [dyno.seen for dyno in dynos.values()])
            for spec in todo.start:
                self._begin(spec)
        for id in (*todo.stop, *todo.forget):
            self._loop.post(dynos[id].stop)

    def observe(self, app: str) -> list[DynoState]:
        """Every dyno of `app` that runs, or has ended and was not forgotten yet."""
        with self._lock:
            return [dyno.seen for dyno in self._dynos.values() if dyno.spec.app == app]

    def apps(self) -> set[str]:
        """Every app that has dynos, ended ones too."""
        with self._lock:
            return {dyno.spec.app for dyno in self._dynos.values()}

    def run(self, spec: ProcessSpec) -> str:
        """Start a one-off dyno, once per `spec.id`; returns that id."""
        with self._lock:
            self._check_open()
            if spec.id not in self._dynos:
                self._begin(spec)
        return spec.id

    def attach(self, dyno_id: str) -> Attached | None:
        """The streams of a one-off dyno that waits for somebody: to the first who asks, once it has started."""
        with self._lock:
            dyno = self._dynos.get(dyno_id)
        return dyno.attach() if dyno else None

    def stop(self, app: str, dyno_id: str) -> None:
        """End one dyno, and forget it once nothing is left of it. Unknown ones are no error."""
        with self._lock:
            dyno = self._dynos.get(dyno_id)
        if dyno is not None and dyno.spec.app == app:
            self._loop.post(dyno.stop)

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Have `listener(app)` called, in the driver's thread, whenever a dyno of `app` changed its state."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Stop every dyno, wait for it (30 s and a little at most) and free everything. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            dynos = list(self._dynos.values())
            for dyno in dynos:
                self._loop.post(lambda dyno=dyno: dyno.stop(closing=True))  # type: ignore[misc]
            if not self._lock.wait_for(lambda: not self._dynos, CLOSE_SECONDS + 6):
                log.warning("Dynos that did not end: %s", list(self._dynos))
        self._loop.stop()
        self._pool.shutdown()
        self._launches.shutdown()
        self._health.shutdown(wait=False, cancel_futures=True)
        self._outlet.close()
        if self._cgroups:
            self._cgroups.close()
        self._lock_file.close()

    # --- beyond it ----------------------------------------------------------------------------------------------

    def processes(self) -> list[dict[str, Any]]:
        """The driver's dynos for `manage.py ps`."""
        with self._lock:
            dynos = list(self._dynos.values())
        return [
            {"role": "dyno", "app": dyno.spec.app, "dyno": dyno.spec.dyno, "id": dyno.spec.id}
            | {
                "pid": dyno.seen.pid,
                "state": dyno.seen.state,
                "port": dyno.seen.port,
                "since": dyno.seen.since,
            }
            for dyno in dynos
        ]

    # --- inside -------------------------------------------------------------------------------------------------

    def _begin(self, spec: ProcessSpec) -> None:
        host = self._dynos.get(spec.inside)
        dyno = visit(spec, self._services, host) if spec.inside else Dyno(spec, self._services)
        self._dynos[spec.id] = dyno
        dyno.begin()

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("The local driver is closed.")

    def _changed(self, dyno: Dyno) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(dyno.spec.app)
            except Exception:
                log.exception("A listener of the local driver failed")

    def _cleaned(self, dyno: Dyno) -> None:
        with self._lock:
            if not dyno.forget or dyno.spec.id not in self._dynos:
                return
            del self._dynos[dyno.spec.id]
            self._lock.notify_all()
        self._changed(dyno)

    def _sample_later(self) -> None:
        self._loop.after(self._sample_seconds, self._sample)

    def _sample(self) -> None:
        self._pool.submit(self._sample_all)

    def _sample_all(self) -> None:
        with self._lock:
            dynos = [dyno for dyno in self._dynos.values() if not dyno.over and dyno.seen.pid]
        try:
            for dyno in dynos:
                dyno.sample()
        finally:
            self._loop.post(self._sample_later)

    def _sweep(self, tag: str) -> None:
        """End and remove what a former life left: it was killed, and could not do it itself (promise I-19)."""
        if self._cgroups:
            self._cgroups.sweep()
        for record in self._root.glob("dynos/*/process.json"):
            _end_recorded(record)
        if not process.end_all(lambda: process.members({"SLIPWAY_INSTANCE": tag})):
            log.warning("Processes of a former life can't be ended")
        isolation.remove(self._root / "dynos")
        for folder in self._root.glob("probe-*"):
            isolation.remove(folder)
        (self._root / "dynos").mkdir()
        (self._root / "dynos").chmod(0o711)


def _lock(root: Path) -> Any:
    """Hold `root` for this driver; the kernel lets go of it however we end."""
    file = (root / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise EngineError(f"Another platform uses {root}.", permanent=True) from error
    return file


def _end_recorded(record: Path) -> None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        noted = json.loads(record.read_text())
        if noted["started"] and process.started_at(noted["pid"]) == noted["started"]:
            os.killpg(noted["pid"], signal.SIGKILL)


def _limits(groups: cgroups.Cgroups | None) -> str:
    controllers = groups.controllers if groups else frozenset()
    words = {"memory": "memory", "pids": "processes", "cpu": "CPU"}
    limited = [word for controller, word in words.items() if controller in controllers]
    if not limited:
        return " Memory is watched, not limited: control groups can't be used here."
    return f" Limited by control groups: {', '.join(limited)}."
