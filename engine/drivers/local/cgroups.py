"""Control groups: hard limits for a dyno's processes together, and a list of them that none can leave."""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.drivers.local import process
from engine.drivers.start import HARD
from engine.spec import Size

log = logging.getLogger(__name__)
MOUNT = Path("/sys/fs/cgroup")
V1 = ("memory", "pids", "cpu")


@dataclass(frozen=True)
class Group:
    """The control group of one dyno: a folder per controller (v1), or a single one (v2)."""

    folders: Mapping[str, Path]

    @property
    def entries(self) -> list[str]:
        """The files into which a process writes 0 to join."""
        return [str(folder / "cgroup.procs") for folder in set(self.folders.values())]

    def pids(self) -> set[int]:
        """All processes in it."""
        found: set[int] = set()
        for folder in set(self.folders.values()):
            with contextlib.suppress(OSError):
                found.update(map(int, (folder / "cgroup.procs").read_text().split()))
        return found

    def kill(self) -> None:
        """SIGKILL all processes in it, and let none of them fork on."""
        if "pids" in self.folders:
            with contextlib.suppress(OSError):
                (self.folders["pids"] / "pids.max").write_text("0")
        for folder in set(self.folders.values()):
            if (folder / "cgroup.kill").exists():
                with contextlib.suppress(OSError):
                    (folder / "cgroup.kill").write_text("1")
        process.send(self.pids(), signal.SIGKILL)

    def memory(self) -> int | None:
        """Bytes in use that can't be given back (the page cache apart); None where it is not counted."""
        fields = self._numbers("memory", "memory.stat")
        if "total_rss" in fields:
            return fields["total_rss"] + fields.get("total_shmem", 0)
        if "anon" in fields:
            return fields["anon"] + fields.get("shmem", 0)
        return None

    def oom_kills(self) -> int:
        """How many of its processes the kernel has killed for want of memory."""
        for name in ("memory.events", "memory.oom_control"):
            if "oom_kill" in (fields := self._numbers("memory", name)):
                return fields["oom_kill"]
        return 0

    def remove(self, seconds: float = 1) -> bool:
        """Remove it; False when it is still in use after `seconds` (it is, a moment after its last process)."""
        deadline = time.monotonic() + seconds
        for folder in set(self.folders.values()):
            while not _removed(folder):
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.005)
        return True

    def _numbers(self, controller: str, name: str) -> dict[str, int]:
        folder = self.folders.get(controller)
        try:
            lines = (folder / name).read_text().splitlines() if folder else []
        except OSError:
            return {}
        pairs = (line.split() for line in lines)
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


class Cgroups:
    """The control groups of one driver, in a folder of its own below each controller."""

    def __init__(self, parents: Mapping[str, Path], *, unified: bool) -> None:
        self.parents = dict(parents)
        self.unified = unified
        self._weigh()

    @property
    def controllers(self) -> frozenset[str]:
        """What is limited: of memory, pids and cpu."""
        return frozenset(self.parents) & frozenset(V1)

    def _weigh(self) -> None:
        """All dynos together weigh as much as one busy process of the platform's kind per core: enough beside builds,
        and too little to starve the router."""
        cores = os.cpu_count() or 1
        file, value = (
            ("cpu.weight", min(100 * cores, 10_000)) if self.unified else ("cpu.shares", 1024 * cores)
        )
        if "cpu" in self.parents:
            with contextlib.suppress(OSError):
                (self.parents["cpu"] / file).write_text(str(value))

    def make(self, name: str, size: Size) -> Group:
        """A new control group with the limits of `size`."""
        group = Group({controller: parent / name for controller, parent in self.parents.items()})
        for folder in set(group.folders.values()):
            folder.mkdir(exist_ok=True)
        for controller, file, value in self._limits(size):
            if controller in group.folders:
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    (group.folders[controller] / file).write_text(value)
        return group

    def _limits(self, size: Size) -> list[tuple[str, str, str]]:
        hard = str(size.memory * HARD)
        if self.unified:
            weight = 1 + (min(max(size.cpu_shares, 2), 262144) - 2) * 9999 // 262142
            return [
                ("memory", "memory.max", hard),
                ("memory", "memory.swap.max", "0"),
                ("memory", "memory.oom.group", "1"),
                ("pids", "pids.max", str(size.pids)),
                ("cpu", "cpu.weight", str(weight)),
            ]
        return [
            ("memory", "memory.limit_in_bytes", hard),
            ("memory", "memory.memsw.limit_in_bytes", hard),
            ("pids", "pids.max", str(size.pids)),
            ("cpu", "cpu.shares", str(size.cpu_shares)),
        ]

    def left(self) -> list[Group]:
        """Every control group below ours, our own included in none."""
        names = {
            folder.name
            for parent in self.parents.values()
            if parent.is_dir()
            for folder in parent.iterdir()
            if folder.is_dir()
        }
        return [Group({c: parent / name for c, parent in self.parents.items()}) for name in sorted(names)]

    def sweep(self) -> None:
        """End and remove what an earlier life of this driver left."""
        for group in self.left():
            if not process.end_all(group.pids) or not group.remove():
                log.warning("A control group can't be removed: %s", group)

    def close(self) -> None:
        """Remove our own folders; those in use stay."""
        for parent in set(self.parents.values()):
            with contextlib.suppress(OSError):
                parent.rmdir()


def detect(tag: str, mount: Path = MOUNT) -> Cgroups | None:
    """The control groups that we may make here, below a folder named after `tag`; None when there are none."""
    if not process.LINUX:
        return None
    return _unified(f"slipway-{tag}", mount) or _v1(f"slipway-{tag}", mount)


def _v1(name: str, mount: Path) -> Cgroups | None:
    parents = {}
    for controller in V1:
        if (mount / controller / "cgroup.procs").exists():
            with contextlib.suppress(OSError):
                (mount / controller / name).mkdir(exist_ok=True)
                parents[controller] = mount / controller / name
    return Cgroups(parents, unified=False) if parents else None


def _unified(name: str, mount: Path) -> Cgroups | None:
    if not (mount / "cgroup.controllers").exists():
        return None
    for above in (mount, _own(mount)):
        try:
            (above / name).mkdir(exist_ok=True)
            (above / name / "cgroup.procs").read_text()
            enabled = _enable(above) and _enable(above / name)
        except OSError:
            continue
        parents = dict.fromkeys(enabled or ["all"], above / name)
        return Cgroups(parents, unified=True)
    return None


def _own(mount: Path) -> Path:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::")), "/")
    return mount / path.lstrip("/")


def _enable(folder: Path) -> list[str]:
    """Have the children of `folder` limited; a group with processes of its own can't, so ours move down one step."""
    there = (folder / "cgroup.controllers").read_text().split()
    wanted = [controller for controller in V1 if controller in there]
    if (folder / "cgroup.procs").read_text().split() == [str(os.getpid())]:
        (folder / "platform").mkdir(exist_ok=True)
        (folder / "platform" / "cgroup.procs").write_text("0")
    with contextlib.suppress(OSError):
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in wanted))
    return [each for each in wanted if each in (folder / "cgroup.subtree_control").read_text().split()]
