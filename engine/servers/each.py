"""Servers of which each add-on has one of its own: what is noted of them, who keeps them, how they go."""

import json
import logging
import shutil
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from core.errors import EngineError
from engine.servers import programs
from engine.servers.place import Place
from engine.servers.ports import port_for
from engine.servers.supervisor import Program, Supervisor, outdated

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    W = TypeVar("W", bound=DataclassInstance)
else:
    W = TypeVar("W")

log = logging.getLogger(__name__)
HOST = "127.0.0.1"


class Each(Generic[W]):
    """All of one kind. Beside a server's folder, which is named after its add-on's id, lie its wish (how it shall be),
    port, log and process. Kinds say what program it is that runs, and what a wish is made of."""

    kind: ClassVar[str]  # the folder's name, and the user's: "valkey"
    wishes: type[W]

    def __init__(self, root: Path, *, ports: range, uid: int) -> None:
        self._root, self._ports, self._uid = root / self.kind, ports, uid
        self._supervisors: dict[str, Supervisor] = {}
        self._lock = threading.Lock()

    def ids(self) -> set[str]:
        """Whose there are."""
        return {path.stem for path in self._root.glob("*.wish")}

    def wish(self, id: str) -> W | None:
        """How `id`'s server is; None when there is none."""
        try:
            return self.wishes(**json.loads(self._file(id, "wish").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def host(self, id: str) -> str:
        """Where `id`'s server is found."""
        return HOST

    def fetched(self) -> bool:
        """Whether what is needed to make one is there; else it is on its way."""
        return True

    def remove(self, id: str) -> None:
        """End `id`'s server and forget its data. No error when it is gone."""
        self._file(id, "wish").unlink(missing_ok=True)
        self._end(id)
        shutil.rmtree(self._root / id, ignore_errors=True)
        for path in self._root.glob(f"{id}.*"):
            path.unlink(missing_ok=True)

    def start(self) -> None:
        """Have those that exist run; returns at once. What was being removed is removed."""
        for folder in self._root.glob("*/"):
            if folder.name not in self.ids():
                self.remove(folder.name)
        for id in self.ids():
            try:
                self._supervisor(id).start()
            except EngineError as error:
                log.warning("The %s of add-on %s is not started: %s", self.kind, id, error)

    def stop(self) -> None:
        """End all."""
        with self._lock:
            supervisors, self._supervisors = list(self._supervisors.values()), {}
        _all_at_once(supervisors)

    def outdated(self, id: str) -> bool:
        """Whether `id`'s server runs a program that has been replaced since."""
        return outdated(self._file(id, "process"))

    def renew(self, id: str, seconds: float = 30) -> None:
        """Start `id`'s server again if it is outdated; `EngineError` when it does not come back."""
        if self.outdated(id):
            self._end(id)
            programs.look_again()
        self._supervisor(id).ensure(seconds)

    def supervisors(self) -> list[Supervisor]:
        """Who keeps them."""
        with self._lock:
            return list(self._supervisors.values())

    # --- for kinds --------------------------------------------------------------------------------------------------

    def _program(self, id: str) -> Program:
        """What runs, with all that it reads in place. `EngineError` when it is not installed."""
        raise NotImplementedError

    def _open_root(self) -> None:
        """Let servers through to their folders."""
        self._root.mkdir(parents=True, exist_ok=True)
        for folder in (self._root.parent, self._root):
            folder.chmod(0o711)

    def _place(self, id: str, *programs: Path) -> Place:
        """The server's place; `programs` are the folders that it needs of what is installed."""
        return Place(self._root / id, f"slipway-{self.kind}", self._uid, programs)

    def _supervisor(self, id: str) -> Supervisor:
        with self._lock:
            if id not in self._supervisors:
                self._supervisors[id] = Supervisor(self._program(id))
            return self._supervisors[id]

    def _end(self, id: str) -> None:
        with self._lock:
            supervisor = self._supervisors.pop(id, None)
        if supervisor:
            supervisor.stop()

    def _port(self, id: str) -> int:
        record = self._file(id, "port")
        servers = self._root.parent
        others = [path for path in (*servers.glob("*.port"), *servers.glob("*/*.port")) if path != record]
        return port_for(record, self._ports, {int(path.read_text()) for path in others})

    def _note(self, id: str, wish: W) -> None:
        write(self._file(id, "wish"), json.dumps(asdict(wish)))

    def _file(self, id: str, ending: str) -> Path:
        return self._root / f"{id}.{ending}"


def write(path: Path, text: str) -> None:
    """Have `text` in `path`, all of it or what was there, for nobody else to read."""
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)


def _all_at_once(supervisors: Iterable[Supervisor]) -> None:
    threads = [threading.Thread(target=each.stop, daemon=True) for each in supervisors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
