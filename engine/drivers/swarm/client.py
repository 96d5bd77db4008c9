"""The Docker engine, as far as the driver asks it. Every call blocks, and raises `EngineError`: a permanent one for what
the engine turned down, another for an engine that is away. For any thread."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, TypeVar
from urllib.parse import urlencode, urlsplit

import docker
import requests
from docker.auth import encode_header
from docker.errors import APIError, DockerException

from core.errors import EngineError

API = "1.41"  # what engines from 20.10 on speak
SECONDS = 60.0  # an engine under load takes its time
PASSING = (
    "rpc error",
    "deadline",
    "no leader",
    "Client.Timeout",
    "connection re",
)  # what the Swarm says in trouble
HEAD_BYTES = 64 * 1024
T = TypeVar("T")


class Absent(EngineError):
    """What was asked for is not there (any more)."""


class Taken(EngineError):
    """There is one of that name already, or something stands in the way."""


class Client:
    """One engine, at `url`: `unix:///…` or `tcp://host:port`, which has `seconds` for each answer. `sign_in` is the name and
    password for the registry."""

    def __init__(
        self, url: str, *, sign_in: Mapping[str, str] | None = None, seconds: float = SECONDS
    ) -> None:
        self.url, self._sign_in = url, dict(sign_in) if sign_in else None
        self._seconds = seconds
        try:
            self._api = docker.APIClient(base_url=url, version=API, timeout=seconds, num_pools=32)
        except DockerException as error:
            raise EngineError(f"ENGINE_URL can't be used: {error}", permanent=True) from error

    def close(self) -> None:
        """Let go of all connections."""
        self._api.close()

    def info(self) -> dict[str, Any]:
        """What the engine says of itself."""
        return self._ask(self._api.info)

    # --- dynos --------------------------------------------------------------------------------------------------

    def create_service(self, body: dict[str, Any]) -> str:
        """Make a service, or find the one of that name; returns its id."""
        try:
            made = self._post("/services/create", body, headers=self._credentials())
        except Taken:
            return str(self._ask(self._api.inspect_service, body["Name"])["ID"])
        return str(made["ID"])

    def remove_service(self, id: str) -> None:
        """Remove a service with its tasks; none is no error."""
        with contextlib.suppress(Absent):
            self._ask(self._api.remove_service, id)

    def label_service(self, id: str, labels: Mapping[str, str]) -> None:
        """Give a service these labels and no others. Its tasks go on: theirs are of their own."""
        found = self._ask(self._api.inspect_service, id)
        body = {**found["Spec"], "Labels": dict(labels)}
        self._post(f"/services/{found['ID']}/update?version={found['Version']['Index']}", body)

    def services(self, label: str) -> list[dict[str, Any]]:
        """All services with a label `name=value`."""
        return self._ask(self._api.services, filters={"label": label})

    def tasks(self) -> list[dict[str, Any]]:
        """The tasks of all services."""
        return self._ask(self._api.tasks)

    def create_container(self, body: dict[str, Any], name: str) -> str:
        """Make a container, or find the one of that name; returns its id."""
        try:
            return str(self._ask(self._api.create_container_from_config, body, name=name)["Id"])
        except Taken:
            return str(self.container(name)["Id"])

    def containers(self, label: str) -> list[dict[str, Any]]:
        """All containers on the engine's own node with a label `name=value`, ended ones too."""
        return self._ask(self._api.containers, all=True, filters={"label": label})

    def container(self, id: str) -> dict[str, Any]:
        """All about one container."""
        return self._ask(self._api.inspect_container, id)

    def start(self, id: str) -> None:
        """Start a container; one that runs is no error."""
        self._ask(self._api.start, id)

    def kill(self, id: str, signal: str) -> None:
        """Send a signal to a container's first process; one that has ended is no error."""
        with contextlib.suppress(Absent, Taken):
            self._ask(self._api.kill, id, signal)

    def remove_container(self, id: str) -> None:
        """End and remove a container with its volumes; none is no error."""
        with contextlib.suppress(Absent, Taken):
            self._ask(self._api.remove_container, id, v=True, force=True)

    def memory(self, id: str) -> int:
        """Bytes that a container uses and can't give back: the page cache apart."""
        found = self._ask(self._api.stats, id, stream=False, one_shot=True)
        stats = found.get("memory_stats", {}).get("stats", {})
        if "total_rss" in stats:
            return int(stats["total_rss"] + stats.get("total_shmem", 0))
        return int(stats.get("anon", 0) + stats.get("shmem", 0))

    # --- who is let in ------------------------------------------------------------------------------------------

    def create_exec(self, id: str, body: dict[str, Any]) -> str:
        """Have a command ready to run in a container; returns an id for it. `Taken` when the container has ended."""
        return str(self._post(f"/containers/{id}/exec", body)["Id"])

    def start_exec(self, id: str, *, tty: bool) -> socket.socket:
        """Run it; returns its streams."""
        return self._open("POST", f"/exec/{id}/start", upgrade=True, body={"Detach": False, "Tty": tty})

    def resize_exec(self, id: str, lines: int, columns: int) -> None:
        """Set the size of its terminal."""
        self._ask(self._api.exec_resize, id, height=lines, width=columns)

    def exec(self, id: str) -> dict[str, Any]:
        """All about it; `Absent` once its container is gone."""
        return self._ask(self._api.exec_inspect, id)

    def do(self, id: str, command: list[str]) -> None:
        """Run a short command in a container and wait for its end. What it says is thrown away."""
        made = self.create_exec(id, {"AttachStdout": True, "Cmd": command})
        self._ask(self._api.exec_start, made)

    # --- what they need -----------------------------------------------------------------------------------------

    def image(self, reference: str, *, ours: bool = False) -> str:
        """The id of an image, which is fetched if it is not there; with `ours` from the registry that we sign in to."""
        try:
            return str(self._ask(self._api.inspect_image, reference)["Id"])
        except Absent:
            if reference.startswith("sha256:"):  # which no registry knows
                raise
            name, mark, tag = reference.rpartition("@")
            if not mark and ":" in reference.rpartition("/")[2]:
                name, _, tag = reference.rpartition(":")
            signed = {"auth_config": self._sign_in} if ours and self._sign_in else {}
            self._ask(self._api.pull, name or reference, tag=tag if name else None, **signed)
            return str(self._ask(self._api.inspect_image, reference)["Id"])

    def has_image(self, reference: str) -> bool:
        """Whether the engine has an image of that name."""
        try:
            self._ask(self._api.inspect_image, reference)
        except Absent:
            return False
        return True

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image another name."""
        self._ask(self._api.tag, image, repository, tag)

    def push(self, repository: str, tag: str) -> str:
        """Have the registry in the name keep an image; returns the reference that never means another."""
        return self._ask(self._push, repository, tag)

    def _push(self, repository: str, tag: str) -> str:
        digest = ""
        for line in self._api.push(repository, tag=tag, stream=True, decode=True, auth_config=self._sign_in):
            if "error" in line:
                raise EngineError(f"The registry did not take the image: {line['error']}"[:300])
            digest = line.get("aux", {}).get("Digest", digest)
        if not digest:
            raise EngineError("The registry did not say what it keeps the image as.")
        return f"{repository}@{digest}"

    def amend(self, image: str, archive: bytes | IO[bytes], tag: tuple[str, str]) -> str:
        """An image called `tag` (repository, tag) that is `image` with the files of a tar archive; returns its id."""
        name = ":".join(tag)
        with contextlib.suppress(Absent):
            return str(self._ask(self._api.inspect_image, name)["Id"])
        id = self._ask(self._api.create_container, image, ["true"])["Id"]
        try:
            self._ask(self._api.put_archive, id, "/", archive)
            return str(self._ask(self._api.commit, id, tag[0], tag[1])["Id"])
        finally:
            self.remove_container(id)

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes of the Swarm."""
        return self._ask(self._api.nodes)

    def make_network(self, body: dict[str, Any]) -> None:
        """Make a network; one of that name is no error."""
        if not self._ask(self._api.networks, names=[f"^{body['Name']}$"]):
            with contextlib.suppress(Taken):
                self._post("/networks/create", body)

    def network(self, name: str) -> str:
        """The id of a network."""
        return str(self._ask(self._api.inspect_network, name)["Id"])

    # --- streams ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def events(self, label: str) -> Iterator[Any]:
        """Container events with a label, as they come, for as long as the engine is there; `close` ends them."""
        stream = self._ask(self._api.events, decode=True, filters={"type": "container", "label": label})
        try:
            yield stream
        finally:
            with contextlib.suppress(Exception):  # its connection may be in any state
                stream.close()

    def logs(self, what: str, id: str, since: float, *, follow: bool) -> socket.socket:
        """The log of one of `containers` or `services` with times: see `lines.Frames`."""
        asked = {
            "follow": int(follow),
            "stdout": 1,
            "stderr": 1,
            "timestamps": 1,
            "since": f"{since:.6f}" if since else 0,
        }
        return self._open("GET", f"/{what}/{id}/logs?{urlencode(asked)}")

    def attach(self, id: str) -> socket.socket:
        """The streams of a container that has not started yet."""
        asked = {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}
        return self._open("POST", f"/containers/{id}/attach?{urlencode(asked)}", upgrade=True)

    def _open(
        self, method: str, path: str, *, upgrade: bool = False, body: dict[str, Any] | None = None
    ) -> socket.socket:
        """A connection of its own that carries what `path` streams, and nothing around it."""
        version = "1.1" if upgrade else "1.0"  # 1.0 knows no chunks
        data = json.dumps(body).encode() if body else b""
        head = [f"{method} /v{API}{path} HTTP/{version}", "Host: docker", f"Content-Length: {len(data)}"]
        head += ["Content-Type: application/json"] if body else []
        head += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []
        connection = None
        try:
            connection = self._connect()
            connection.sendall("\r\n".join([*head, "", ""]).encode() + data)
            status = _read_head(connection)
            if status not in (101, 200):
                raise Absent(f"The Docker engine answered {status}.", permanent=True)
            connection.settimeout(None)
            return connection
        except OSError as error:
            if connection is not None:
                connection.close()
            raise EngineError(f"The Docker engine can't be reached: {error.strerror or error}") from error
        except EngineError:
            if connection is not None:
                connection.close()
            raise

    def _connect(self) -> socket.socket:
        parts = urlsplit(self.url)
        if parts.scheme != "unix":
            return socket.create_connection((parts.hostname or "", parts.port or 2375), self._seconds)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(self._seconds)
        connection.connect(parts.path)
        return connection

    # --- inside -------------------------------------------------------------------------------------------------

    def _credentials(self) -> dict[str, str]:
        """With which nodes fetch from the registry."""
        return {"X-Registry-Auth": encode_header(self._sign_in).decode()} if self._sign_in else {}

    def _post(
        self, path: str, body: dict[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """For what the SDK has no words for, or fewer than the engine."""
        api = self._api
        answer: dict[str, Any] = self._ask(
            lambda: api._result(api._post_json(api._url(path), data=body, headers=dict(headers or {})), True)
        )
        return answer

    def _ask(self, call: Callable[..., T], *args: Any, **options: Any) -> T:
        try:
            return call(*args, **options)
        except APIError as error:
            raise _refused(error) from error
        except (DockerException, requests.RequestException, OSError) as error:
            raise EngineError("The Docker engine can't be reached.") from error


def _refused(error: APIError) -> EngineError:
    status, why = error.status_code or 500, str(error.explanation or error)[:300]
    if status == 404:
        return Absent(why, permanent=True)
    if status == 409:
        return Taken(why, permanent=True)
    passing = status == 503 or any(word in why for word in PASSING)
    return EngineError(f"The Docker engine answered: {why}", permanent=not passing)


def _read_head(connection: socket.socket) -> int:
    """The status of an answer whose body is still to be read, not a byte of it taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < HEAD_BYTES:
        seen = connection.recv(4096, socket.MSG_PEEK)
        if not seen:
            raise ConnectionResetError("no answer")
        end = (head + seen).find(b"\r\n\r\n")
        take = len(seen) if end < 0 else end + 4 - len(head)
        head += connection.recv(take)
    return int(head.split(b" ", 2)[1])


def decoded(text: str) -> dict[str, Any]:
    """What a label holds; nothing when it is not ours."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
