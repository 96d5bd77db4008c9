"""What this conductor does now, written where other processes can read it: `manage.py ps` and `audit`."""

import json
import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from conductor.parts import NoRouter
from engine.spec import Driver

if TYPE_CHECKING:
    from conductor.loop import Conductor

EVERY_SECONDS = 2.0
FRESH_SECONDS = 10.0  # older than that, and the conductor is taken for dead


class Status:
    """Keeps the file true to within `EVERY_SECONDS`."""

    def __init__(self, conductor: "Conductor") -> None:
        self._conductor = conductor
        self._started = time.time()
        self._node = _node(conductor.parts.driver)

    def write(self, *, stopped: bool = False) -> None:
        """Replace the file by what is so now."""
        target = path()
        temporary = target.with_suffix(".new")
        temporary.write_text(json.dumps(self._now(stopped)))
        temporary.replace(target)

    def _now(self, stopped: bool) -> dict[str, Any]:
        conductor = self._conductor
        roles = ["worker", "scheduler", "logd"]
        if not isinstance(conductor.parts.router, NoRouter):
            roles.append("router")
        return {
            "at": time.time(),
            "pid": os.getpid(),
            "stopped": stopped,
            "started": self._started,
            "swept": conductor.swept,
            "node": self._node,
            "roles": roles,
            "jobs": [
                {
                    "kind": held.kind.name,
                    "id": str(held.job.pk),
                    "app": str(held.job.app_id),
                    "step": held.job.step,
                    "lease": held.job.lease_until.isoformat() if held.job.lease_until else None,
                }
                for held in conductor.held()
            ],
            "dynos": {} if stopped else conductor.keeper.running(),
            "servers": self._servers(),
        }

    def _servers(self) -> list[dict[str, Any]]:
        servers = self._conductor.parts.servers
        return servers.processes() if servers else []


def _node(driver: Driver) -> dict[str, Any]:
    """The machine, and what keeps dynos apart on it."""
    return {
        "hostname": socket.gethostname(),
        "level": getattr(driver, "level", ""),
        "isolation": getattr(driver, "isolation", ""),
        "controllers": getattr(driver, "controllers", []),
    }


def path() -> Path:
    """Where the file is."""
    return settings.DATA / "run" / "status.json"


def read() -> dict[str, Any] | None:
    """What the conductor wrote last; None when there is none or it is dead."""
    try:
        found = json.loads(path().read_text())
    except (FileNotFoundError, ValueError):
        return None
    fresh = time.time() - found["at"] < FRESH_SECONDS
    return found if fresh and not found["stopped"] and alive(found["pid"]) else None


def alive(pid: int) -> bool:
    """Whether a process with this id runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def processes() -> list[dict[str, Any]]:
    """The platform's processes and its dynos: role, pid, state, lease, work. Threads of one process share its pid."""
    web = _listener(settings.CONTROL_SOCKET)
    rows = [_row(role, web) for role in ("web", "git")]
    now = read()
    pid = now["pid"] if now else None
    jobs = now["jobs"] if now else []
    for job in jobs:
        rows.append(
            _row("worker", pid, lease=job["lease"], work=f"{job['kind']} {job['id']} step {job['step']}")
        )
    for role in ("worker", "scheduler", "router", "logd"):
        if role == "worker" and jobs:
            continue
        rows.append(_row(role, pid if now and role in now["roles"] else None))
    return rows + _dynos(now)


def _dynos(now: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [
        {
            "role": "dyno",
            "pid": dyno["pid"],
            "state": dyno["state"],
            "lease": None,
            "work": f"{app} {dyno['dyno']}",
        }
        for app, dynos in (now["dynos"] if now else {}).items()
        for dyno in dynos
    ] + _servers(now)


def _servers(now: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [
        {**_row("server", server["pid"], work=f"{server['name']} port {server['port']}"), "state": server["state"]}
        for server in (now.get("servers", []) if now else [])
    ]


def _row(role: str, pid: int | None, *, lease: str | None = None, work: str = "") -> dict[str, Any]:
    return {"role": role, "pid": pid, "state": "up" if pid else "down", "lease": lease, "work": work}


def _listener(place: Path) -> int | None:
    """The process that answers on a unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(place))
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except (OSError, AttributeError):  # the latter where the system has no such option
            return None
    pid: int = struct.unpack("3i", credentials)[0]
    return pid
