"""What this conductor does now, written where other processes can read it: `manage.py ps` and `audit`."""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from conductor.parts import NoRouter

if TYPE_CHECKING:
    from conductor.loop import Conductor

EVERY_SECONDS = 2.0
FRESH_SECONDS = 10.0  # older than that, and the conductor is taken for dead


class Status:
    """Keeps the file true to within `EVERY_SECONDS`."""

    def __init__(self, conductor: "Conductor") -> None:
        self._conductor = conductor

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
