"""Servers of which each add-on has a service of its own. What is noted of them is the same as of the platform's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import EngineError
from engine.servers.each import Each, log
from engine.servers.swarm.body import Server
from engine.servers.swarm.keeper import Keeper, Note

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    W = TypeVar("W", bound=DataclassInstance)
else:
    W = TypeVar("W")


class Services(Each[W]):
    """All of one kind."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__(keeper.root, ports=keeper.ports, uid=0)
        self._keeper = keeper

    def host(self, id: str) -> str:
        """Where `id`'s server is found."""
        note = self._keeper.note(self.kind, id)
        if note is None:
            raise EngineError("There is no such server.", permanent=True)
        return note.host

    def ids(self) -> set[str]:
        """Whose there are, or whose volume is."""
        return super().ids() | self._keeper.ids(self.kind)

    def fetched(self) -> bool:
        """Whether the image is there; else it is on its way."""
        return self._keeper.fetched(self.kind)

    def ensure(self, id: str, wish: W, seconds: float = 60) -> int:
        """Have `id`'s server up as wished; returns its port. Another wish starts it again."""
        with self._keeper.lock(self.kind, id):
            self._root.mkdir(parents=True, exist_ok=True)
            if self.wish(id) != wish:
                self._note(id, wish)
            return self._have(id, wish, seconds).port

    def remove(self, id: str) -> None:
        """End `id`'s server and remove its data. No error when it is gone."""
        self._keeper.remove(self.kind, id)

    def see_to(self) -> None:
        """Have those there that are wished for."""
        for id in super().ids():
            with self._keeper.lock(self.kind, id):
                wish = self.wish(id)
                if wish is None or self._keeper.runs(self.kind, id):
                    continue
                try:
                    self._have(id, wish, 60)
                except EngineError as error:
                    log.warning("The %s of add-on %s is not started: %s", self.kind, id, error)

    def start(self) -> None:
        """They run by themselves."""

    def stop(self) -> None:
        """They go on."""

    def outdated(self, id: str) -> bool:
        """Whether the image's name means another one by now."""
        return self._keeper.outdated(self.kind, id)

    def renew(self, id: str, seconds: float = 60) -> None:
        """Start `id`'s server again with what the image's name means by now."""
        with self._keeper.lock(self.kind, id):
            wish = self.wish(id)
            if wish is None:
                raise EngineError("There is no such server.", permanent=True)
            self._have(id, wish, seconds, newest=True)

    def processes(self) -> list[dict[str, Any]]:
        """For `manage.py ps`: which there are, as noted."""
        return [seen(self._keeper, self.kind, path) for path in sorted(self._root.glob("*.note"))]

    # --- for kinds --------------------------------------------------------------------------------------------------

    def _server(self, id: str, wish: W, note: Note) -> Server:
        """How `id`'s server shall be, the image apart."""
        raise NotImplementedError

    def _answers(self, id: str) -> bool:
        """Whether it does, to the password of today."""
        raise NotImplementedError

    def _have(self, id: str, wish: W, seconds: float, *, newest: bool = False) -> Note:
        return self._keeper.ensure(
            self.kind, id, lambda note: self._server(id, wish, note), lambda: self._answers(id), seconds, newest=newest,
        )  # fmt: skip


def seen(keeper: Keeper, kind: str, path: Path) -> dict[str, Any]:
    """One service for `manage.py ps`. It has no process of this machine's, and its state is the engine's to tell."""
    note = keeper.note(kind, path.stem)
    return {"name": f"{kind} service", "pid": None, "state": "service", "port": note.port if note else 0}
