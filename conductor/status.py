"""What this conductor does now, written where other processes can read it: `manage.py ps` and `audit`."""

import json
import os
import socket
import struct
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from conductor.models import Beat
from conductor.parts import NoRouter
from engine.spec import Driver

if TYPE_CHECKING:
    from conductor.loop import Conductor

EVERY_SECONDS = 2.0
FRESH_SECONDS = 10.0  # older than that, and the conductor is taken for dead
FORGET_SECONDS = 3600.0  # and after that, what it said is deleted


class Status:
    """Keeps the file true to within `EVERY_SECONDS`."""

    def __init__(self, conductor: "Conductor") -> None:
        self._conductor = conductor
        self._started = time.time()
        self._node = _node(conductor.parts.driver)

    def write(self, *, stopped: bool = False) -> None:
        """Replace what was said last by what is so now: a file of the one conductor, or a row of one of several."""
        crew, now = self._conductor.parts.crew, self._now(stopped)
        if crew.shared:
            self._write_row(crew.id, now)
            return
        target = path()
        temporary = target.with_suffix(".new")
        temporary.write_text(json.dumps(now))
        temporary.replace(target)

    @staticmethod
    def _write_row(id: UUID, now: dict[str, Any]) -> None:
        if now["stopped"]:
            Beat.objects.filter(pk=id).delete()
            return
        facts = {"hostname": now["node"]["hostname"], "pid": now["pid"], "leads": now["leads"], "told": now}
        Beat.objects.update_or_create(pk=id, defaults={"at": timezone.now(), **facts})
        if now["leads"]:
            Beat.objects.filter(at__lt=timezone.now() - timedelta(seconds=FORGET_SECONDS)).delete()

    def _now(self, stopped: bool) -> dict[str, Any]:
        conductor = self._conductor
        roles = ["worker", *(["scheduler"] if conductor.leads else []), "logd"]
        if not isinstance(conductor.parts.router, NoRouter):
            roles.append("router")
        return {
            "at": time.time(),
            "pid": os.getpid(),
            "stopped": stopped,
            "leads": conductor.leads,
            "started": self._started,
            "swept": conductor.swept,
            "node": self._node,
            "roles": roles,
            "jobs": [
                {
                    "kind": held.kind.name,
                    "id": str(held.job.pk),
                    "app": str(getattr(held.job, "app_id", None)),
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


def several() -> bool:
    """Whether this installation may have several conductors: one engine, one router and one database for all."""
    shared = settings.DATABASE_URL.startswith("postgres") and bool(settings.REDIS_URL)
    return shared and settings.ENGINE_URL != "local:" and settings.ROUTER_URL != "local:"


def path() -> Path:
    """Where the file is, of a conductor alone."""
    return settings.DATA / "run" / "status.json"


def read() -> dict[str, Any] | None:
    """What conductors said last, as if they were one: the words of the one that leads, with the work and the dynos of
    all. None when there is none or all are dead."""
    found = conductors()
    if len(found) < 2:
        return found[0] if found else None
    dynos: dict[str, dict[str, Any]] = {}
    for one in found:
        for app, here in one["dynos"].items():
            dynos.setdefault(app, {}).update({dyno["id"]: dyno for dyno in here})
    return {
        **found[0],
        "started": min(one["started"] for one in found),
        "swept": max(one["swept"] for one in found),
        "jobs": [job for one in found for job in one["jobs"]],
        "dynos": {app: list(here.values()) for app, here in dynos.items()},
    }


def conductors() -> list[dict[str, Any]]:
    """What each conductor that is alive said of itself last, the one that leads first."""
    if several():
        fresh = Beat.objects.filter(at__gte=timezone.now() - timedelta(seconds=FRESH_SECONDS))
        return [beat.told for beat in fresh.order_by("-leads", "at")]
    try:
        found: dict[str, Any] = json.loads(path().read_text())
    except (FileNotFoundError, ValueError):
        return []
    fresh_enough = time.time() - max(found["at"], _tried()) < FRESH_SECONDS
    return [found] if fresh_enough and not found["stopped"] and alive(found["pid"]) else []


def _tried() -> float:
    """When the conductor last tried to say something: what a full disk leaves of it is an empty file beside the old words,
    and proves that it lives."""
    try:
        return path().with_suffix(".new").stat().st_mtime
    except FileNotFoundError:
        return 0.0


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
    """The platform's processes and its dynos: role, pid, host, state, lease, work. Threads of one process share its
    pid, and a pid is one of its own host."""
    web = _listener(settings.CONTROL_SOCKET)
    rows = [_row(role, web) for role in ("web", "git")]
    found: list[dict[str, Any] | None] = [*conductors()]
    for now in found or [None]:
        rows += _of_conductor(now)
    return rows + _dynos(read())


def _of_conductor(now: dict[str, Any] | None) -> list[dict[str, Any]]:
    pid, host, jobs = (now["pid"], now["node"]["hostname"], now["jobs"]) if now else (None, "", [])
    rows = []
    for job in jobs:
        work = f"{job['kind']} {job['id']} step {job['step']}"
        rows.append(_row("worker", pid, host=host, lease=job["lease"], work=work))
    for role in ("worker", "scheduler", "router", "logd"):
        if role == "worker" and jobs:
            continue
        if now and role == "scheduler" and not now["leads"]:
            continue
        rows.append(_row(role, pid if now and role in now["roles"] else None, host=host))
    return rows


def _dynos(now: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [
        {
            "role": "dyno",
            "pid": dyno["pid"],
            "host": dyno.get("host", ""),
            "state": dyno["state"],
            "lease": None,
            "work": f"{app} {dyno['dyno']}",
        }
        for app, dynos in (now["dynos"] if now else {}).items()
        for dyno in dynos
    ] + _servers(now)


def _servers(now: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [
        {
            **_row("server", server["pid"], work=f"{server['name']} port {server['port']}"),
            "state": server["state"],
        }
        for server in (now.get("servers", []) if now else [])
    ]


def _row(
    role: str, pid: int | None, *, host: str = "", lease: str | None = None, work: str = ""
) -> dict[str, Any]:
    state = "up" if pid else "down"
    return {
        "role": role,
        "pid": pid,
        "host": host or socket.gethostname(),
        "state": state,
        "lease": lease,
        "work": work,
    }


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
