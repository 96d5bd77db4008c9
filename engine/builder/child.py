"""The child process of a build, seen from the platform: started, watched, and always ended."""

import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import BuildFailed, EngineError
from engine.builder.ahead import Launched, launch
from engine.builder.cgroups import Cgroups
from engine.builder.output import Output
from engine.builder.spec import BuildCancelled, BuildSpec

CHECK_SECONDS = 0.5
REPORT_BYTES = 8 * 1024 * 1024
ESSENTIAL = """
    HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE
    CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO PIP_CERT PIP_INDEX_URL UV_DEFAULT_INDEX NPM_CONFIG_REGISTRY
    npm_config_registry TZ
"""
_namespaces = True  # until this system has refused


class Child:
    """One run of the launcher for a build. `take` gives the process for it."""

    def __init__(
        self,
        spec: BuildSpec,
        output: Output,
        cancelled: Callable[[], bool],
        take: Callable[[], Launched] = launch,
    ) -> None:
        self.spec, self.output, self.cancelled, self.take = spec, output, cancelled, take
        self.deadline = time.monotonic() + spec.limits.seconds
        self.disk = DiskWatch([spec.work, spec.cache], spec.limits.disk_bytes)
        self.report = b""

    def run(self, job: dict[str, Any], step: Callable[[str], None]) -> dict[str, Any]:
        """Have the job done; returns the worker's `done` message. Raises `BuildFailed`, `BuildCancelled` or
        `EngineError`. When it returns or raises, every process of the build has ended."""
        global _namespaces
        limits = self.spec.limits
        groups = Cgroups(self.spec.id, memory=limits.memory, processes=limits.processes)
        try:
            job["walls"].update(cgroups=groups.procs, namespaces=_namespaces, limits=self._rlimits(groups))
            answer = self._attempt(job, step, groups)
            if "walls" in answer and _namespaces:
                _namespaces = False
                job["walls"].update(namespaces=False)
                answer = self._attempt(job, step, groups)
        finally:
            groups.remove()
        return judge(answer)

    def _rlimits(self, groups: Cgroups) -> dict[str, int]:
        limits = self.spec.limits
        found = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": limits.disk_bytes}
        if groups.memory_folder is None:
            found["RLIMIT_DATA"] = limits.memory
        return found

    def _attempt(self, job: dict[str, Any], step: Callable[[str], None], groups: Cgroups) -> dict[str, Any]:
        with self._started(job) as launched:
            try:
                answer = self._watch(launched.output, launched.report, step)
            except BaseException:
                groups.kill()
                raise
        self.output.finish()
        if groups.ran_out_of_memory():
            raise BuildFailed(f"The build used more than {self.spec.limits.memory // 2**20} MB of memory.")
        return answer or {"died": launched.process.returncode}

    @contextmanager
    def _started(self, job: dict[str, Any]) -> Iterator[Launched]:
        launched = self.take()
        try:
            job["report_fd"] = launched.report_end
            _hand_over(launched.process, job)
            yield launched
        finally:
            launched.close()

    def _watch(self, output: int, report: int, step: Callable[[str], None]) -> dict[str, Any]:
        """Pass output and steps on until the child has closed its ends or reported its result."""
        check_at = time.monotonic() + CHECK_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            selector.register(report, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(CHECK_SECONDS):
                    data = os.read(key.fd, 256 * 1024)
                    if not data:
                        selector.unregister(key.fd)
                    elif key.fd == output:
                        self.output.feed(data)
                    elif (answer := self._reported(data, step)) is not None:
                        self._drain(output)
                        return answer
                if time.monotonic() > check_at:
                    self._check()
                    check_at = time.monotonic() + CHECK_SECONDS
        return {}

    def _drain(self, output: int) -> None:
        """Take what was written before the result; what lingers on in the background is not waited for."""
        os.set_blocking(output, False)
        try:
            while data := os.read(output, 256 * 1024):
                self.output.feed(data)
        except BlockingIOError:
            return

    def _check(self) -> None:
        if time.monotonic() > self.deadline:
            raise BuildFailed(f"The build took longer than {duration(self.spec.limits.seconds)}.")
        if self.cancelled():
            raise BuildCancelled
        self.disk.check()

    def _reported(self, data: bytes, step: Callable[[str], None]) -> dict[str, Any] | None:
        self.report += data
        if len(self.report) > REPORT_BYTES:
            raise BuildFailed("The build's report is too long.")
        *lines, self.report = self.report.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "step" not in message:
                return message
            step(str(message["step"]))
        return None


def judge(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a build was told to have come to: its `done` message, or `BuildFailed` or `EngineError` with the reason."""
    if "done" in answer:
        return dict(answer["done"])
    if "failed" in answer:
        raise BuildFailed(str(answer["failed"])[:500])
    if "world" in answer:
        raise EngineError(str(answer["world"])[:300])
    if "walls" in answer:
        raise EngineError(f"The build could not be shut in: {str(answer['walls'])[:300]}")
    raise EngineError(f"The build's process ended without a result (status {answer.get('died')}).")


def _hand_over(process: subprocess.Popen[bytes], job: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            pipe.write(json.dumps(job).encode())
    except BrokenPipeError:
        return  # it has died; that is found out in a moment


class DiskWatch:
    """Looks now and then at how much a build has on disk; the more files there are, the less often."""

    def __init__(self, folders: Sequence[Path], limit: int) -> None:
        self.folders, self.limit = folders, limit
        self.next = time.monotonic() + 2

    def check(self) -> None:
        """`BuildFailed` when work folder and cache hold more than they may."""
        started = time.monotonic()
        if started < self.next:
            return
        if sum(used_bytes(folder) for folder in self.folders) > self.limit:
            raise BuildFailed(f"The build used more than {self.limit // 2**20:,} MB of disk.")
        ended = time.monotonic()
        self.next = ended + max(1.0, 20 * (ended - started))


def used_bytes(folder: Path) -> int:
    """The disk space below a folder, while others change it."""
    total, pending = 0, [os.fspath(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return total


def duration(seconds: float) -> str:
    """A time as people say it."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:g} seconds"


def essentials(environ: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """The environment of a build: what is needed to reach registries, and nothing else of the platform's."""
    kept = {name: environ[name] for name in ESSENTIAL.split() if name in environ}
    return {**kept, "PATH": os.pathsep.join(path), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
