"""When the last backup was made, for those who watch over it, and which files there are."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

PREFIX, SUFFIX = "slipway-", ".tar.zst"


def note(at: float, *, file: str, bytes: int, seconds: float) -> None:
    """Remember a backup as of `at` (seconds since the epoch); `file` is empty when it went into a pipe."""
    _write(
        {
            "at": at,
            "file": file,
            "bytes": bytes,
            "seconds": round(seconds, 1),
            "failed": "",
            "failed_at": None,
        }
    )


def note_failure(reason: str) -> None:
    """Remember that one could not be made."""
    _write({**(last() or {"at": None, "file": ""}), "failed": reason[:500], "failed_at": time.time()})


def last() -> dict[str, Any] | None:
    """The last one: `{"at", "file", "bytes", "seconds", "failed", "failed_at"}`; None before the first."""
    try:
        found: dict[str, Any] = json.loads(_path().read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found


def folder() -> Path:
    """Where scheduled backups are."""
    return Path(settings.BACKUP_DIR)


def new_name(at: float | None = None) -> str:
    """The file name of a backup as of now."""
    moment = datetime.fromtimestamp(at if at is not None else time.time(), UTC)
    return f"{PREFIX}{moment:%Y%m%d-%H%M%S}{SUFFIX}"


def kept() -> list[Path]:
    """The files in the folder, the newest first."""
    return sorted(folder().glob(f"{PREFIX}*{SUFFIX}"), reverse=True)


def _path() -> Path:
    return settings.DATA / "run" / "backup.json"


def _write(what: dict[str, Any]) -> None:
    _path().parent.mkdir(parents=True, exist_ok=True)
    temporary = _path().with_suffix(".new")
    temporary.write_text(json.dumps(what))
    temporary.replace(_path())
