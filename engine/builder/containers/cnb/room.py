"""Two containers for one build: the builder image's, in which the lifecycle runs, and ours, which holds its network.

A builder image has none of our programs, and needs none: the fences are round the network that both are in, and the
lifecycle has no rights to take them down. It is a user without rights from its first program on. Our program is the first
one of both: when nobody waits for the build any more it ends, and the kernel ends all the others.
"""

import contextlib
import json
import queue
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker.errors
import docker.types

from core.errors import BuildFailed, EngineError
from engine.builder.child import CHECK_SECONDS, duration
from engine.builder.containers.box import OUT, read_frames
from engine.builder.containers.images import CACHE
from engine.builder.containers.place import BUILD, TROUBLE, Place, Started, name_of, remove, start, why
from engine.builder.output import Output
from engine.builder.spec import BuildCancelled, BuildSpec

HOLD = ["python3", "-IS", "/slipway/code/engine/builder/containers/hold.py"]
HOLD_MEMORY, HOLD_PROCESSES = 128 * 1024 * 1024, 16
READY_SECONDS = 60.0
DISK_SECONDS = 5.0
KILLED = 137


@dataclass(frozen=True)
class Task:
    """What runs in the builder's container."""

    image: str
    command: Sequence[str]  # its program and arguments
    user: str  # "1000:1000"
    env: Mapping[str, str]
    files: Path  # a tar archive that is unpacked at its root before


class Room:
    """One run of a build; `place` says where, its image being ours, and what each may take. `open_to` is where the fences
    have doors. When the context ends, both containers are gone."""

    def __init__(
        self,
        client: Any,
        spec: BuildSpec,
        place: Place,
        output: Output,
        cancelled: Callable[[], bool],
        open_to: Sequence[str],
    ) -> None:
        self.client, self.spec, self.place = client, spec, place
        self.output, self.cancelled, self.open_to = output, cancelled, open_to
        self.deadline = time.monotonic() + spec.limits.seconds
        self._name = name_of(spec.id)
        self._holder: Started | None = None
        self._said: queue.Queue[tuple[int, bytes] | None] = queue.Queue(maxsize=64)
        self._stop = threading.Event()
        self._disk_at = 0.0

    def __enter__(self) -> "Room":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._holder:
            self._holder.close()
        for name in (self._name, f"{self._name}-net"):
            remove(self.client, name)

    def run(self, task: Task) -> int:
        """Have it done, its output passed on; returns its exit status. `BuildFailed` when it broke a bound,
        `BuildCancelled` or `EngineError`."""
        with self._trouble():
            for name in (self._name, f"{self._name}-net"):  # an interrupted try may have left them
                remove(self.client, name)
            container = self._make(task, self._hold())
            with task.files.open("rb") as files:
                self.client.api.put_archive(container.id, "/", files)
            params = {"stdout": 1, "stderr": 1, "stream": 1}
            started = Started(container.id, container.attach_socket(params=params))
            try:
                container.start()
                self._watch(started)
            finally:
                started.close()
            self.output.finish()
            status = int(container.wait(timeout=60)["StatusCode"])
            container.reload()
            if container.attrs["State"].get("OOMKilled"):
                raise BuildFailed(f"The build used more than {self.place.memory // 2**20} MB of memory.")
            return status

    @contextlib.contextmanager
    def archive(self, path: str) -> Iterator[Iterator[bytes]]:
        """What it has left at `path`, as the pieces of a tar archive."""
        with self._trouble():
            try:
                pieces, _ = self.client.api.get_archive(self._name, path)
            except docker.errors.NotFound:
                raise BuildFailed("The lifecycle ended well and has left no image.") from None
            yield iter(pieces)

    def _hold(self) -> str:
        """Start our container; returns its id once the fences are up."""
        place = replace(self.place, memory=HOLD_MEMORY, processes=HOLD_PROCESSES)
        self._holder = start(self.client, place, f"{self._name}-net", {BUILD: self.spec.id}, HOLD)
        job = {"open_to": [*self.open_to], "cache": CACHE, "disk_bytes": self.spec.limits.disk_bytes}
        data = json.dumps(job).encode()
        self._holder.stream.sendall(struct.pack(">I", len(data)) + data)
        listening = (self._holder.stream, self._said, self._stop)
        threading.Thread(target=read_frames, args=listening, name="build holder", daemon=True).start()
        try:
            frame = self._said.get(timeout=READY_SECONDS)
        except queue.Empty:
            frame = None
        said = frame[1].decode("utf-8", "replace").strip() if frame else "it says nothing"
        if said != "ready":
            raise EngineError(f"The build could not be shut in: {said[:300]}")
        return self._holder.id

    def _make(self, task: Task, holder: str) -> Any:
        place = self.place
        limit = self.spec.limits.disk_bytes
        return self.client.containers.create(
            task.image,
            list(task.command[1:]),
            entrypoint=[task.command[0]],
            name=self._name,
            labels={**place.labels, BUILD: self.spec.id},
            user=task.user,
            working_dir="/",
            network_mode=f"container:{holder}",
            pid_mode=f"container:{holder}",
            mem_limit=place.memory,
            memswap_limit=place.memory,
            pids_limit=place.processes,
            nano_cpus=int(place.cpus * 1_000_000_000),
            oom_score_adj=1000,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            ulimits=[
                docker.types.Ulimit(name="core", soft=0, hard=0),
                docker.types.Ulimit(name="fsize", soft=limit, hard=limit),
            ],
            volumes={place.volume: {"bind": CACHE, "mode": "rw"}},
            log_config={"type": "none", "config": {}},
            environment=dict(task.env),
        )

    def _watch(self, started: Started) -> None:
        """Pass its output on until it has ended."""
        given: queue.Queue[tuple[int, bytes] | None] = queue.Queue(maxsize=64)
        threading.Thread(
            target=read_frames, args=(started.stream, given, self._stop), name="build output", daemon=True
        ).start()
        check_at = time.monotonic() + CHECK_SECONDS
        while True:
            with contextlib.suppress(queue.Empty):
                frame = given.get(timeout=CHECK_SECONDS)
                if frame is None:
                    return
                self.output.feed(frame[1])
            if time.monotonic() > check_at:
                self._check()
                check_at = time.monotonic() + CHECK_SECONDS

    def _check(self) -> None:
        if time.monotonic() > self.deadline:
            raise BuildFailed(f"The build took longer than {duration(self.spec.limits.seconds)}.")
        if self.cancelled():
            raise BuildCancelled
        with contextlib.suppress(queue.Empty):
            frame = self._said.get_nowait()
            if frame is None:
                raise EngineError("What held the build's network has ended.")
            if frame[0] == OUT:
                raise BuildFailed(frame[1].decode("utf-8", "replace").strip().removeprefix("bound "))
        if time.monotonic() > self._disk_at:
            self._check_disk()

    def _check_disk(self) -> None:
        """Hold what it has written beside the cache to the limit. The engine has to count, so not all too often."""
        asked = time.monotonic()
        found = self.client.api.containers(filters={"name": f"^/{self._name}$"}, size=True)
        if any(each.get("SizeRw", 0) > self.spec.limits.disk_bytes for each in found):
            raise BuildFailed(
                f"The build used more than {self.spec.limits.disk_bytes // 2**20:,} MB of disk."
            )
        now = time.monotonic()
        self._disk_at = now + max(DISK_SECONDS, 20 * (now - asked))

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        try:
            yield
        except TROUBLE as fault:
            raise EngineError(f"The Docker engine could not run the build: {why(fault)}") from fault
