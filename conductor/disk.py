"""What the data folder holds, measured now and then, apart from any request: there may be millions of files."""

import json
import logging
import subprocess
import time
from pathlib import Path
from typing import Any

from django.conf import settings

from addons import volumes

log = logging.getLogger(__name__)

EVERY_SECONDS = 300.0
PATIENCE = 120.0  # seconds for one part; what takes longer is left unmeasured
PARTS = {
    "repositories": "repos",
    "slugs": "slugs",
    "sources": "sources",
    "logs": "logs",
    "build caches": "caches",
    "dynos": "dynos",
    "servers of add-ons": "servers",
    "backups of databases": "database-backups",
    "storage": "volumes",
}


def measure(data: Path) -> None:
    """Write down how many bytes each part of the data folder takes, None for what took too long, and how much each
    volume of an add-on holds."""
    volumes.measure()
    parts: dict[str, int | None] = {name: _bytes(data / folder) for name, folder in PARTS.items()}
    parts["database"] = sum(file.stat().st_size for file in data.glob("db.sqlite3*"))
    target = path()
    temporary = target.with_suffix(".new")
    temporary.write_text(json.dumps({"at": time.time(), "parts": parts}))
    temporary.replace(target)


def path() -> Path:
    """Where the figures are."""
    return settings.DATA / "run" / "disk.json"


def read() -> dict[str, Any] | None:
    """`{"at": seconds since the epoch, "parts": {name: bytes or None}}` as measured last; None before the first time."""
    try:
        found: dict[str, Any] = json.loads(path().read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found


def _bytes(folder: Path) -> int | None:
    if not folder.is_dir():
        return 0
    command = ["nice", "-n", "19", "du", "-skx", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        log.info("%s was not measured: %s", folder, fault)
        return None
    blocks = done.stdout.split()  # files that vanish meanwhile make du complain, and are no matter
    return int(blocks[0]) * 1024 if blocks else None
