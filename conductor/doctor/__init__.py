"""The doctor: looks at everything that Slipway stands on, and says what to do where it is not well.

Each check is a function that yields findings. One that breaks is a finding itself, so no trouble hides another.
"""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings

from conductor.doctor import keeping, machine, servers
from conductor.doctor.finding import PROBLEM, Check, Finding, problem

__all__ = ["CHECKS", "Finding", "Rounds", "examine", "last", "note"]

log = logging.getLogger(__name__)
FIRST_SECONDS = 20.0  # after the start, when all should be up
EVERY_SECONDS = 600.0  # between two rounds
LOOK_SECONDS = 5.0
CHECKS: tuple[Check, ...] = (*machine.CHECKS, *servers.CHECKS, *keeping.CHECKS)


def examine() -> list[Finding]:
    """Look at everything; takes some seconds."""
    return [finding for check in CHECKS for finding in _survive(check)]


def _survive(check: Check) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:
        log.exception("The check of %s had trouble", check.__name__)
        name = check.__name__.replace("_", " ").capitalize()
        yield problem(
            name, f"could not be looked at: {type(error).__name__}", "The platform's log says more."
        )


class Rounds:
    """The conductor's: it sees what web processes can't, and keeps what it finds for the operators' page."""

    def __init__(self) -> None:
        self._next = time.monotonic() + FIRST_SECONDS

    def look(self) -> None:
        """Examine everything when it is time to."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_SECONDS
            note()


def note() -> None:
    """Look, and keep what was found."""
    found = examine()
    for finding in found:
        if finding.state == PROBLEM:
            log.warning("%s: %s", finding.name, finding.text)
    temporary = _path().with_suffix(".new")
    temporary.write_text(json.dumps({"at": time.time(), "findings": [asdict(finding) for finding in found]}))
    temporary.replace(_path())


def last() -> dict[str, Any] | None:
    """What the conductor found last: `{"at": seconds since the epoch, "findings": […]}`; None before the first time."""
    try:
        found: dict[str, Any] = json.loads(_path().read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found


def _path() -> Path:
    folder: Path = settings.DATA / "run"
    return folder / "doctor.json"
