"""One build container, seen from the platform: made, spoken to, watched, and always removed."""

import contextlib
import json
import queue
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker.errors

from core.errors import BuildFailed, EngineError
from engine.builder.child import CHECK_SECONDS, REPORT_BYTES, duration
from engine.builder.containers.place import BUILD, TROUBLE, Place, Started, name_of, remove, start, why
from engine.builder.containers.spares import Spares
from engine.builder.output import Output
from engine.builder.spec import BuildCancelled, BuildSpec

OUT, REPORT = 1, 2  # the streams of an attached container
CHUNK = 256 * 1024


class Box:
    """One run of a build in a container."""

    def __init__(
        self, client: Any, spec: BuildSpec, output: Output, cancelled: Callable[[], bool], spares: Spares
    ) -> None:
        self.client, self.spec, self.spares = client, spec, spares
        self.output, self.cancelled = output, cancelled
        self.deadline = time.monotonic() + spec.limits.seconds

    def run(
        self,
        place: Place,
        job: Mapping[str, Any],
        files: Sequence[Path],
        slug: Path,
        step: Callable[[str], None],
    ) -> dict[str, Any]:
        """Have the job done, its slug written to the file `slug`; returns the last message of the report. `BuildFailed`,
        `BuildCancelled` or `EngineError`. When it raises, the container is gone; when it returns, it has ended, and is gone
        in a moment."""
        report = Report(slug, self.spec.limits.slug_bytes, step)
        self.end = End()
        job = {**job, "end": self.end.mark.decode()}
        started: Started | None = None
        try:
            started = self.spares.take(place, self.spec.id) or self._start(place)
            sending = (started.stream, job, files)
            threading.Thread(target=_send, args=sending, name="build input", daemon=True).start()
            self._watch(started.stream, report)
        except BaseException as fault:
            if started:
                started.close()
            remove(self.client, started.id if started else name_of(self.spec.id))
            if isinstance(fault, TROUBLE):
                raise EngineError(f"The Docker engine could not run the build: {why(fault)}") from fault
            raise
        finally:
            report.close()
        self.spares.retire(place.cache, started)  # its slug is here, and nobody has to wait for its end
        self.output.finish()
        return report.answer

    def _start(self, place: Place) -> Started:
        name, label = name_of(self.spec.id), {BUILD: self.spec.id}
        try:
            return start(self.client, place, name, label)
        except docker.errors.APIError as fault:
            if fault.status_code != 409:
                raise
        remove(self.client, name)  # an interrupted try has left it
        return start(self.client, place, name, label)

    def _watch(self, stream: socket.socket, report: "Report") -> None:
        """Pass output and steps on until the container has ended, or has said all."""
        frames: queue.Queue[tuple[int, bytes] | None] = queue.Queue(maxsize=64)
        stop = threading.Event()
        threading.Thread(
            target=read_frames, args=(stream, frames, stop), name="build output", daemon=True
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
            try:
                self._message(json.loads(line))
            except ValueError as fault:
                told = line[:200].decode("utf-8", "replace")
                raise EngineError(f"The build's container does not work: {told}") from fault
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


def _send(stream: socket.socket, job: Mapping[str, Any], files: Sequence[Path]) -> None:
    """Tell the container its job. It stays open, as a sign that somebody waits."""
    data = json.dumps(job).encode()
    with contextlib.suppress(OSError):  # the container has died; that is found out in a moment
        stream.sendall(struct.pack(">I", len(data)) + data)
        for path in files:
            with path.open("rb") as file:
                while piece := file.read(CHUNK):
                    stream.sendall(piece)


def read_frames(
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
