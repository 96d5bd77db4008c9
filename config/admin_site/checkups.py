"""What the doctor of the conductor found, and how old the last backup is, as the operators' pages tell of them.

Both know every part of the platform. Commands load this module at their start, and so it loads them at its use.
"""

import time
from typing import Any

from django.conf import settings


def context() -> dict[str, Any]:
    """`{"findings": the worst first, "age": seconds since, "problems": how many, "warnings": how many}`; no findings
    and no age before a conductor has looked."""
    from conductor import doctor
    from conductor.doctor.finding import OK, PROBLEM, WARNING

    worst_first, told = (PROBLEM, WARNING, OK), doctor.last()
    found: list[dict[str, str]] = told["findings"] if told else []
    states = [one["state"] for one in found]
    return {
        "findings": sorted(found, key=lambda one: worst_first.index(one["state"])),
        "age": time.time() - told["at"] if told else None,
        "problems": states.count(PROBLEM),
        "warnings": states.count(WARNING),
        "every": doctor.EVERY_SECONDS,
    }


def backup() -> dict[str, Any]:
    """The last backup of the platform: its age in seconds (None without one), whether that is too old, and why the last
    try failed."""
    from conductor.backups import history, schedule

    age, hours = schedule.age(), settings.BACKUP_HOURS
    last = history.last() or {}
    return {
        "age": age,
        "late": age is None or age > 2 * 3600 * (hours or 24),
        "failed": last.get("failed", ""),
        "bytes": last.get("bytes"),
        "hours": hours,
    }
