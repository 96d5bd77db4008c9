"""The machine, the data folder and the conductor, as the operators' first page tells of them. No query, no walk."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.conf import settings

from conductor import disk as measured
from core.version import slipway

LOW = 0.10  # of the disk; below, the page warns


def conductor(running: Mapping[str, Any] | None) -> dict[str, Any]:
    """Whether one is alive, and when it last did what. `running` is what it wrote itself."""
    if running is None:
        return {"alive": False}
    now = time.time()
    return {
        "alive": True,
        "pid": running["pid"],
        "beat": now - running["at"],
        "swept": now - running["swept"] if running.get("swept") else None,
        "uptime": now - running["started"] if running.get("started") else None,
        "jobs": len(running["jobs"]),
    }


def node(running: Mapping[str, Any] | None) -> dict[str, Any]:
    """The one machine of the embedded engine. Figures that the system does not tell are None."""
    told = (running or {}).get("node") or {}
    memory = _memory()
    return {
        "hostname": told.get("hostname") or platform.node(),
        "level": told.get("level", ""),
        "isolation": told.get("isolation", ""),
        "controllers": told.get("controllers", []),
        "cores": os.cpu_count() or 1,
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "uptime": _uptime(),
        "memory": memory,
        "memory_percent": round(100 * memory["used"] / memory["total"]) if memory else None,
        "system": f"{platform.system()} {platform.release()}",
    }


def _memory() -> dict[str, int] | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    total = kib["MemTotal"] * 1024
    return {"total": total, "used": total - kib.get("MemAvailable", kib["MemFree"]) * 1024}


def _uptime() -> float | None:
    try:
        return float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return None


def disk() -> dict[str, Any]:
    """Free space now, and the parts of the data folder as the conductor measured them last."""
    whole = shutil.disk_usage(settings.DATA)
    found = measured.read()
    parts = sorted((found or {}).get("parts", {}).items(), key=lambda part: -(part[1] or 0))
    return {
        "folder": str(settings.DATA),
        "total": whole.total,
        "free": whole.free,
        "used_percent": round(100 * (whole.total - whole.free) / whole.total),
        "low": whole.free < LOW * whole.total,
        "measured": time.time() - found["at"] if found else None,
        "parts": [{"name": name, "bytes": size} for name, size in parts],
    }


@cache
def versions(database: str) -> list[tuple[str, str]]:
    """What runs here; it does not change while this process lives."""
    return [
        ("Slipway", slipway()),
        ("Python", platform.python_version()),
        ("Django", version("django")),
        ("Daphne", version("daphne")),
        ("Database", {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(database, database)),
        ("git", _git()),
    ]


def _git() -> str:
    try:
        told = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return "missing: nobody can push"
    return told.stdout.removeprefix("git version ").strip()
