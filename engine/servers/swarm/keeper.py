"""Makes and removes servers of add-ons on a Docker engine, and says of each where it is.

The process that leads does that. Others may have no way to the engine; for them what matters is noted in the data folder:
where a server listens, of which image it is, and why a kind can't be had.
"""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import EngineError
from engine.drivers.swarm.client import Absent, Taken
from engine.servers.each import write
from engine.servers.ports import port_for
from engine.servers.swarm import body
from engine.servers.swarm.body import Server
from engine.servers.swarm.engine import Engine

log = logging.getLogger(__name__)
LOOK_SECONDS, TROUBLED_SECONDS = 600.0, 60.0  # between looks at the images, and while one can't be had
FETCH_SECONDS = 900.0
GONE_SECONDS = 60.0  # that a server may take to end, and its volume to be free
POLL_SECONDS = 0.1
MOST_FAILURES = 3  # after which nothing else is waited for


@dataclass(frozen=True)
class Note:
    """Where a server is."""

    port: int
    host: str  # where apps find it
    hosts: tuple[str, ...]  # where it listens: `host`, and what it was before
    node: str  # the id of the node that it has its volume on
    image: str = ""  # the id of what it runs; "" before it was made


class Keeper:
    """All servers of the installation `instance` on the engine at `url`. `images` are references by kind, `root` is the
    folder of notes, `ports` are for servers, and `address` is where apps find them, "" for what suits the nodes."""

    def __init__(
        self,
        root: Path,
        *,
        url: str,
        instance: str,
        images: Mapping[str, str],
        ports: range,
        address: str = "",
    ) -> None:
        self.root, self.ports, self.images = root, ports, images
        self._url, self._instance, self._address = url, instance, address
        self._engine_: Engine | None = None
        self._lock, self._locks = threading.Lock(), dict[str, threading.RLock]()
        self._fetches: dict[str, _Fetch] = {}
        self._stopping = threading.Event()
        self._looker: threading.Thread | None = None

    # --- one server -----------------------------------------------------------------------------------------------------

    def note(self, kind: str, id: str) -> Note | None:
        """Where a server is, as noted; None when there is none. For any process."""
        try:
            found = json.loads(self._file(kind, id).read_text())
            return Note(**{**found, "hosts": tuple(found["hosts"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def ensure(
        self, kind: str, id: str, wanted: Callable[[Note], Server], answers: Callable[[], bool], seconds: float = 60,
        *, newest: bool = False,
    ) -> Note:  # fmt: skip
        """Have a server as `wanted` tells once it knows where, and wait until it `answers`. What runs keeps its image,
        unless it shall be the `newest`. `EngineError` with its last words when it does not come."""
        with self.lock(kind, id):
            note = self._placed(kind, id, newest=newest)
            server = replace(wanted(note), image=note.image)
            called = body.name(self._instance, kind, id)
            asked, kept = self._body(server, note)
            found = self._engine().service(called)
            if found is None:
                self._engine().create_service(asked)
            elif found["Spec"]["Labels"].get(body.DIGEST) != asked["Labels"][body.DIGEST]:
                self._engine().update_service(found["ID"], found["Version"]["Index"], asked)
            self._wait(called, asked["Labels"][body.DIGEST], answers, seconds)
            self._forget_secrets(kind, id, keep=kept)
            return note

    def remove(self, kind: str, id: str) -> None:
        """End a server and remove its volume, its secrets and what is noted. No error when it is gone; `EngineError` when
        something of it stays, to be tried again."""
        with self.lock(kind, id):
            engine, called = self._engine(), body.name(self._instance, kind, id)
            (self.root / kind / f"{id}.wish").unlink(missing_ok=True)  # first: nobody is to make it again
            engine.remove_service(called)
            deadline = time.monotonic() + GONE_SECONDS
            for volume in engine.volumes(f"{body.SERVER}={kind}/{id}"):
                if volume["Labels"].get(body.INSTANCE) == self._instance:
                    _until(lambda name=volume["Name"]: engine.remove_volume(name), deadline)  # type: ignore[misc]
            self._forget_secrets(kind, id, keep=set(), deadline=deadline)
            note = self.note(kind, id)
            if note and note.node and note.node != self._node():
                log.warning("The volume %s is left on node %s", called, note.node)
            for path in (self.root / kind).glob(f"{id}.*"):
                path.unlink(missing_ok=True)

    def ids(self, kind: str) -> set[str]:
        """Whose servers or volumes of a kind the engine has."""
        engine, label = self._engine(), f"{body.INSTANCE}={self._instance}"
        marks = [each["Spec"]["Labels"] for each in engine.services(label)]
        marks += [each["Labels"] or {} for each in engine.volumes(label)]
        known = [mark[body.SERVER].partition("/") for mark in marks if body.SERVER in mark]
        return {id for of, _, id in known if of == kind}

    def lock(self, kind: str, id: str) -> threading.RLock:
        """Who changes a server holds this."""
        with self._lock:
            return self._locks.setdefault(f"{kind}/{id}", threading.RLock())

    def runs(self, kind: str, id: str) -> bool:
        """Whether the engine knows it."""
        return self._engine().service(body.name(self._instance, kind, id)) is not None

    def host(self) -> str:
        """Where apps find servers: on one node by an address of a network that nothing else is in, which stays the same and
        leads nowhere from outside; on several by that by which the nodes know this one. `EngineError` when nobody can tell."""
        if self._address:
            return self._address
        engine = self._engine()
        own = str(engine.info()["Swarm"].get("NodeAddr", ""))
        if len(engine.nodes()) > 1 and not own.startswith("127."):
            return own
        name = f"slipway-{self._instance}-servers"
        engine.make_network(
            {
                "Name": name,
                "Driver": "bridge",
                "CheckDuplicate": True,
                "Labels": {body.INSTANCE: self._instance},
            }
        )
        gateway = engine.gateway(name)
        if not gateway:
            raise EngineError(f"The network {name} has no address for servers: set SLIPWAY_SERVER_ADDRESS.")
        return gateway

    # --- images ---------------------------------------------------------------------------------------------------------

    def why_not(self, kind: str) -> str:
        """Why no server of a kind can be had, as last seen; "" when it can. For any process."""
        try:
            return (self.root / f"{kind}.why").read_text()
        except OSError:
            return ""

    def tell_why(self, kind: str, why: str) -> None:
        """Note why no server of a kind can be had; "" when it can."""
        self._write(self.root / f"{kind}.why", why)

    def outdated(self, kind: str, id: str) -> bool:
        """Whether a server runs another image than its name means by now, as last seen. For any process."""
        note = self.note(kind, id)
        try:
            newest = (self.root / f"{kind}.image").read_text()
        except OSError:
            return False
        return bool(note and note.image and newest and note.image != newest)

    def fetched(self, kind: str) -> bool:
        """Whether the engine has the image of a kind; begins to fetch it. `EngineError` when that failed."""
        reference, engine = self.images[kind], self._engine()
        if engine.has_image(reference):
            return True
        with self._lock:
            fetch = self._fetches.get(kind) or self._fetches.setdefault(kind, _Fetch(engine, reference))
            if fetch.is_alive() and time.monotonic() - fetch.began < FETCH_SECONDS:
                return False
            del self._fetches[kind]
        if fetch.is_alive():
            raise EngineError(_cannot(reference, f"it has been fetched for {FETCH_SECONDS / 60:.0f} minutes"))
        if fetch.error:
            why = _cannot(reference, str(fetch.error))
            self.tell_why(kind, why)
            raise EngineError(why, permanent=fetch.error.permanent)
        return engine.has_image(reference)

    def look(self) -> bool:
        """See whether images can be had, and which these are by now; returns whether all is well."""
        well = True
        for kind, reference in self.images.items():
            try:
                self._engine().can_have(reference)
                if self._engine().has_image(reference):
                    self._write(self.root / f"{kind}.image", self._engine().image(reference))
                self.tell_why(kind, "")
            except EngineError as error:
                well = False
                self.tell_why(kind, _cannot(reference, str(error)))
        return well

    def start(self, see_to: Callable[[], bool]) -> None:
        """Look now and then, from now on, and `see_to` what is missing, which tells whether all is well; returns at once."""
        self._stopping.clear()
        self._looker = threading.Thread(
            target=self._look_often, args=(see_to,), name="servers-look", daemon=True
        )
        self._looker.start()

    def stop(self) -> None:
        """Look no more. Servers go on."""
        self._stopping.set()
        looker, self._looker = self._looker, None
        if looker:
            looker.join(10)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _look_often(self, see_to: Callable[[], bool]) -> None:
        while True:
            well = False
            try:
                well = self.look()
                well = see_to() and well
            except EngineError as error:
                log.warning("Servers of add-ons can't be looked after: %s", error)
            except Exception:
                log.exception("A look at the servers of add-ons failed")
            if self._stopping.wait(LOOK_SECONDS if well else TROUBLED_SECONDS):
                return

    def _engine(self) -> Engine:
        with self._lock:
            if self._engine_ is None:
                self._engine_ = Engine(self._url)
            return self._engine_

    def _node(self) -> str:
        return str(self._engine().info()["Swarm"]["NodeID"])

    def _placed(self, kind: str, id: str, *, newest: bool) -> Note:
        """Decide where it is and what it runs, once, and note that before anything is made."""
        former, node = self.note(kind, id), self._node()
        (self.root / kind).mkdir(parents=True, exist_ok=True)
        image = former.image if former and not newest else ""
        here = former is None or former.node == node
        if not here:
            image = self.images[kind]  # whose id differs from node to node
        elif not (image and self._engine().has_image(image)):
            image = self._image(kind)
        host = self.host()
        hosts = tuple(dict.fromkeys([host, *(former.hosts if former else ())]))
        note = Note(self._port(kind, id), host, hosts, former.node if former else node, image)
        if note != former:
            self._write(self._file(kind, id), json.dumps(asdict(note)))
        return note

    def _image(self, kind: str) -> str:
        reference = self.images[kind]
        try:
            return self._engine().image(reference)
        except EngineError as error:
            raise EngineError(_cannot(reference, str(error)), permanent=error.permanent) from error

    def _port(self, kind: str, id: str) -> int:
        record = self.root / kind / f"{id}.port"
        others = [path for path in self.root.parent.rglob("*.port") if path != record]  # the mailer's as well
        with self._lock:
            return port_for(record, self.ports, {int(path.read_text()) for path in others})

    def _body(self, server: Server, note: Note) -> tuple[dict[str, Any], set[str]]:
        """What the engine is asked for, and the names of the secrets in it."""
        engine, marks = self._engine(), body.labels(self._instance, server.kind, server.id)
        called = body.name(self._instance, server.kind, server.id)
        secrets = {}
        for file, text in server.secrets.items():
            known = body.secret_name(called, file, text)
            secrets[file] = (engine.have_secret(known, text.encode(), marks), known)
        user = f"slipway-{self._instance}-user"
        passwd = (
            engine.have_config(user, body.PASSWD.encode(), {body.INSTANCE: self._instance}),
            user,
        )
        asked = body.service(server, self._instance, node=note.node, secrets=secrets, passwd=passwd)
        return asked, {known for _, known in secrets.values()}

    def _wait(self, called: str, digest: str, answers: Callable[[], bool], seconds: float) -> None:
        """Until a task made from what was asked for runs and answers."""
        deadline, tasks = time.monotonic() + seconds, []
        while time.monotonic() < deadline:
            tasks = self._engine().tasks_of(called)
            marks = [(each, each["Spec"]["ContainerSpec"].get("Labels") or {}) for each in tasks]
            ours = [each["Status"] for each, mark in marks if mark.get(body.DIGEST) == digest]
            if any(status["State"] == "running" for status in ours) and answers():
                return
            if sum(status["State"] in ("failed", "rejected") for status in ours) >= MOST_FAILURES:
                break
            time.sleep(POLL_SECONDS)
        said = [each["Status"].get("Err", "") for each in tasks]
        words = self._engine().last_words(tasks) or next(filter(None, said), "")
        raise EngineError(f"The service {called} does not start: {words or 'it says nothing'}")

    def _forget_secrets(self, kind: str, id: str, *, keep: set[str], deadline: float = 0) -> None:
        """Remove the secrets that a server has no more, also those that an earlier try left."""
        for each in self._engine().secrets(f"{body.SERVER}={kind}/{id}"):
            spec = each["Spec"]
            if spec["Labels"].get(body.INSTANCE) == self._instance and spec["Name"] not in keep:
                _until(lambda id=each["ID"]: self._engine().remove_secret(id), deadline)  # type: ignore[misc]

    def _file(self, kind: str, id: str) -> Path:
        return self.root / kind / f"{id}.note"

    def _write(self, path: Path, text: str) -> None:
        with contextlib.suppress(OSError):
            if path.read_text() == text:
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, text)


class _Fetch(threading.Thread):
    """An image on its way."""

    def __init__(self, engine: Engine, reference: str) -> None:
        super().__init__(name=f"fetch-{reference}", daemon=True)
        self._engine, self._reference = engine, reference
        self.began = time.monotonic()
        self.error: EngineError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._engine.image(self._reference)
        except EngineError as error:
            self.error = error


def _until(remove: Callable[[], None], deadline: float) -> None:
    """Remove what may still be in use for a moment."""
    while True:
        try:
            return remove()
        except Absent:
            return
        except EngineError as error:
            in_use = isinstance(error, Taken) or "in use" in str(error)
            if not in_use or time.monotonic() > deadline:
                raise EngineError(str(error)) from error
        time.sleep(POLL_SECONDS)


def _cannot(reference: str, why: str) -> str:
    return (
        f"The image {reference} can't be had: {why.rstrip('.')}. Operators: have it on the Docker engine, or name another "
        "(docs/addons.md)."
    )
