"""Control groups for builds: a bound on memory and processes for all of a build's processes together."""

import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class Cgroups:
    """The control groups of one build: version 1 or 2, or none where the system does not let us make them."""

    def __init__(self, name: str, *, memory: int, processes: int) -> None:
        self.folders: list[Path] = []
        self.memory_folder: Path | None = None
        for controller, parent in _parents():
            limits = _limits(controller, memory, processes)
            folder = parent / f"slipway-build-{name}"
            if _make(folder, limits):
                self.folders.append(folder)
                if controller in ("memory", "unified"):
                    self.memory_folder = folder

    @property
    def procs(self) -> list[str]:
        """The files that a process writes its number to, to be in."""
        return [str(folder / "cgroup.procs") for folder in self.folders]

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel had to kill one of its processes for memory."""
        if self.memory_folder is None:
            return False
        for name in ("memory.oom_control", "memory.events"):
            for line in _lines(self.memory_folder / name):
                word, _, count = line.partition(" ")
                if word == "oom_kill" and count.strip() != "0":
                    return True
        return False

    def kill(self) -> None:
        """End every process inside."""
        for folder in self.folders:
            for line in _lines(folder / "cgroup.procs"):
                try:
                    os.kill(int(line), signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def remove(self, *, seconds: float = 5) -> None:
        """End what is left and remove the groups. A killed process takes a moment to be gone."""
        deadline = time.monotonic() + seconds
        while self.folders and time.monotonic() < deadline:
            self.kill()
            self.folders = [folder for folder in self.folders if not _remove(folder)]
            if self.folders:
                time.sleep(0.005)


def _parents() -> list[tuple[str, Path]]:
    """(controller, folder) in which groups of ours go: below the one that this process is in."""
    found = []
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, path = line.split(":", 2)
        if controllers in ("memory", "pids"):
            found.append((controllers, ROOT / controllers / path.lstrip("/")))
        elif not controllers and (ROOT / "cgroup.controllers").exists():
            found.append(("unified", ROOT / path.lstrip("/")))
    return found


def _limits(controller: str, memory: int, processes: int) -> dict[str, str]:
    if controller == "memory":
        return {"memory.limit_in_bytes": str(memory)}
    if controller == "pids":
        return {"pids.max": str(processes)}
    return {"memory.max": str(memory), "memory.swap.max": "0", "pids.max": str(processes)}


def _make(folder: Path, limits: dict[str, str]) -> bool:
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return False
    try:
        for name, value in limits.items():
            if name == "memory.swap.max" and not (folder / name).exists():
                continue
            (folder / name).write_text(value)
    except OSError:
        _remove(folder)
        return False
    return True


def _remove(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
