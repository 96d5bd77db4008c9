"""The audit on a page: it runs in a thread of its own, one at a time, and what it found is kept in a file."""

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

log = logging.getLogger(__name__)
_running = threading.Lock()


def start() -> bool:
    """Begin an audit; False when one is under way."""
    if not _running.acquire(blocking=False):
        return False
    threading.Thread(target=_run, name="audit", daemon=True).start()
    return True


def last() -> dict[str, Any]:
    """`{"found": what the last one found or None, "age": seconds since, "under_way": whether one runs}`."""
    try:
        found = json.loads(_path().read_text())
    except (FileNotFoundError, ValueError):
        found = None
    return {
        "found": found,
        "age": time.time() - found["at"] if found else None,
        "under_way": _running.locked(),
    }


def _run() -> None:
    from conductor.audit import (
        audit,
    )  # it knows every part of the platform, and commands load this module at their start

    began = time.time()
    try:
        found: dict[str, Any] = audit()
        _keep({**found, "at": time.time(), "seconds": time.time() - began, "trouble": ""})
    except Exception as trouble:
        log.exception("The audit had trouble")
        _keep(
            {
                "violations": [],
                "checks": 0,
                "at": time.time(),
                "seconds": 0,
                "trouble": type(trouble).__name__,
            }
        )
    finally:
        connections.close_all()
        _running.release()


def _keep(found: dict[str, Any]) -> None:
    _path().parent.mkdir(parents=True, exist_ok=True)
    temporary = _path().with_suffix(".new")
    temporary.write_text(json.dumps(found))
    temporary.replace(_path())


def _path() -> Path:
    folder: Path = settings.DATA / "run"
    return folder / "audit.json"
