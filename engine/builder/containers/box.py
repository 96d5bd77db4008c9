"""One build container, seen from the platform: made, spoken to, watched, and always removed."""

import contextlib
import json
import queue
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
import requests

from core.errors import BuildFailed, EngineError
from engine.builder.child import CHECK_SECONDS, REPORT_BYTES, duration
from engine.builder.containers.images import CACHE
from engine.builder.output import Output
from engine.builder.spec import BuildCancelled, BuildSpec

OUT, REPORT = 1, 2  # the streams of an attached container
CHUNK = 256 * 1024
# What its first program needs to put up the fences, to become another user, and to see all files.
RIGHTS = ("NET_ADMIN", "SETUID", "SETGID", "DAC_READ_SEARCH")
TMPFS = {"/tmp": "rw,nosuid,nodev,mode=1777", "/run": "rw,nosuid,nodev,mode=755,size=1m"}  # noqa: S108
ENTRY = ["python3", "-IS", "/slipway/code/engine/builder/containers/inside.py"]


@dataclass(frozen=True)
class Place:
    """Where a build runs: image, network and cache volume, all there already."""

    image: str
    network: str
    cache: str
    cores: int  # of the engine
    labels: dict[str, str]


class Box:
    """One run of a build in a container."""

    def __init__(
        self, client: Any, spec: BuildSpec, place: Place, output: Output, cancelled: Callable[[], bool]
    ) -> None:
        self.client, self.spec, self.place = client, spec, place
        self.output, self.cancelled = output, cancelled
        self.deadline = time.monotonic() + spec.limits.seconds

    def run(
        self, job: Mapping[str, Any], files: Sequence[Path], slug: Path, step: Callable[[str], None]
    ) -> dict[str, Any]:
        """Have the job done, its slug written to the file `slug`; returns the last message of the report. `BuildFailed`,
        `BuildCancelled` or `EngineError`. When it raises, the container is gone; when it returns, it has ended, and is gone
        in a moment."""
        report = Report(slug, self.spec.limits.slug_bytes, step)
        container, self.end = None, End()
        job = {**job, "end": self.end.mark.decode()}
        try:
            container = self._create()
            with self._attached(container) as stream:
                container.start()
                threading.Thread(
                    target=_send, args=(stream, job, files), name="build input", daemon=True
                ).start()
                self._watch(stream, report)
        except (docker.errors.DockerException, requests.RequestException) as fault:
            self._remove(container)
            raise EngineError(f"The Docker engine could not run the build: {_why(fault)}") from fault
        except BaseException:
            self._remove(container)
            raise
        finally:
            report.close()
        # Its slug is here and it ends by itself; nobody has to wait for that.
        threading.Thread(target=self._remove, args=(container,), name="build removal").start()
        self.output.finish()
        return report.answer

    def _remove(self, container: Any) -> None:
        remove(self.client, container.id if container else name_of(self.spec.id))

    def _create(self) -> Any:
        try:
            return self._create_once()
        except docker.errors.APIError as fault:
            if fault.status_code != 409:
                raise
        remove(self.client, name_of(self.spec.id))  # an interrupted try has left it
        return self._create_once()

    def _create_once(self) -> Any:
        limits = self.spec.limits
        return self.client.containers.create(
            self.place.image,
            ENTRY,
            name=name_of(self.spec.id),
            hostname="build",
            labels=self.place.labels,
            auto_remove=True,
            stdin_open=True,
            network=self.place.network,
            mem_limit=limits.memory,
            memswap_limit=limits.memory,
            pids_limit=limits.processes,
            nano_cpus=int(min(limits.cpus, self.place.cores) * 1_000_000_000),
            cap_drop=["ALL"],
            cap_add=list(RIGHTS),
            security_opt=["no-new-privileges:true"],
            volumes={self.place.cache: {"bind": CACHE, "mode": "rw"}},
            tmpfs={},
            log_config={"type": "none", "config": {}},
            environment={"LANG": "C.UTF-8"},
        )

    @contextlib.contextmanager
    def _attached(self, container: Any) -> Iterator[socket.socket]:
        wrapped = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        stream = getattr(wrapped, "_sock", wrapped)
        try:
            yield stream
        finally:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)  # wakes whoever reads it
            wrapped.close()
            stream.close()

    def _watch(self, stream: socket.socket, report: "Report") -> None:
        """Pass output and steps on until the container has ended, or has said all."""
        frames: queue.Queue[tuple[int, bytes] | None] = queue.Queue(maxsize=64)
        stop = threading.Event()
        threading.Thread(
            target=_frames, args=(stream, frames, stop), name="build output", daemon=True
        ).start()
        check_at = time.monotonic() + CHECK_SECONDS
        try:
            while True:
                with contextlib.suppress(queue.Empty):
                    frame = frames.get(timeout=CHECK_SECONDS)
                    if frame is None:
                        return
                    if frame[0] == REPORT:
                        report.feed(frame[1])
                    else:
                        self.output.feed(self.end.cut(frame[1]))
                    if report.whole and self.end.seen:
                        return
                if time.monotonic() > check_at:
                    self._check()
                    check_at = time.monotonic() + CHECK_SECONDS
        finally:
            stop.set()

    def _check(self) -> None:
        if time.monotonic() > self.deadline:
            raise BuildFailed(f"The build took longer than {duration(self.spec.limits.seconds)}.")
        if self.cancelled():
            raise BuildCancelled


class End:
    """Tells the end of the output, which its first program marks: the engine takes a while to say so itself."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(16).encode()
        self.seen = False
        self._held = b""

    def cut(self, data: bytes) -> bytes:
        """`data` as far as it is the build's own. What may be the start of the mark waits for the rest."""
        data, mark = self._held + data, b"\0" + self.mark
        self._held = b""
        if mark in data:
            self.seen = True
            return data.partition(mark)[0]
        at = data.rfind(b"\0")
        if at >= 0 and mark.startswith(data[at:]):
            data, self._held = data[:at], data[at:]
        return data


class Report:
    """What the first program of the container tells: lines of JSON, and the slug after the line that tells its length."""

    def __init__(self, slug: Path, most: int, step: Callable[[str], None]) -> None:
        self.slug, self.most, self.step = slug, most, step
        self.answer: dict[str, Any] = {}
        self._rest = b""
        self._file: Any = None
        self._left = 0

    def feed(self, data: bytes) -> None:
        """More of it came."""
        if self._file is not None:
            return self._take(data)
        self._rest += data
        while self._file is None and b"\n" in self._rest:
            line, _, self._rest = self._rest.partition(b"\n")
            self._message(json.loads(line))
        if self._file is not None:
            data, self._rest = self._rest, b""
            return self._take(data)
        if len(self._rest) > REPORT_BYTES:
            raise BuildFailed("The build's report is too long.")
        return None

    @property
    def whole(self) -> bool:
        """Whether all of the slug is here."""
        return self._file is not None and not self._left

    def close(self) -> None:
        """No more comes. A slug that is not whole counts for nothing."""
        if self._file is not None:
            self._file.close()
            if self._left:
                self.answer = {"died": "the slug broke off"}

    def _message(self, message: dict[str, Any]) -> None:
        if "step" in message:
            self.step(str(message["step"]))
        elif "slug" in message:
            self._left = int(message["slug"])
            if self._left > self.most:
                raise BuildFailed(
                    f"The slug is {self._left / 2**20:,.1f} MB; the limit is {self.most / 2**20:,.0f} MB."
                )
            self._file = self.slug.open("xb")
        elif "bound" in message:  # which is why whatever was told before failed
            self.answer = {"failed": message["bound"]}
        elif not self.answer:
            self.answer = message

    def _take(self, data: bytes) -> None:
        if len(data) > self._left:
            raise BuildFailed("The slug is longer than it said.")
        self._file.write(data)
        self._left -= len(data)


def name_of(build: str) -> str:
    """The name of a build's container."""
    return f"slipway-build-{build}"


def remove(client: Any, container: str) -> None:
    """End and remove a container, if it is there; returns once it is gone, or nearly."""
    for _ in range(3):
        try:
            client.api.remove_container(container, force=True, v=True)
            return
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as fault:
            if fault.status_code != 409:  # it is being removed already
                raise EngineError(f"The build's container could not be removed: {_why(fault)}") from fault
            time.sleep(0.05)
        except requests.RequestException as fault:
            raise EngineError(f"The build's container could not be removed: {_why(fault)}") from fault


def _send(stream: socket.socket, job: Mapping[str, Any], files: Sequence[Path]) -> None:
    """Tell the container its job. It stays open, as a sign that somebody waits."""
    data = json.dumps(job).encode()
    with contextlib.suppress(OSError):  # the container has died; that is found out in a moment
        stream.sendall(struct.pack(">I", len(data)) + data)
        for path in files:
            with path.open("rb") as file:
                while piece := file.read(CHUNK):
                    stream.sendall(piece)


def _frames(
    stream: socket.socket, into: "queue.Queue[tuple[int, bytes] | None]", stop: threading.Event
) -> None:
    """Read the attached streams, which the engine mixes into one, until they end."""

    def put(item: tuple[int, bytes] | None) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                into.put(item, timeout=CHECK_SECONDS)
                return

    try:
        with stream.makefile("rb") as file:
            while not stop.is_set() and len(head := file.read(8)) == 8:
                kind, size = struct.unpack(">BxxxI", head)
                while size and (data := file.read(min(size, CHUNK))):
                    put((kind, data))
                    size -= len(data)
    except (OSError, ValueError):  # it was closed under us
        pass
    put(None)


def _why(fault: Exception) -> str:
    return str(getattr(fault, "explanation", None) or fault)[:200]
