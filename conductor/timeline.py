"""The timeline of a job: which step began when, and how long it took."""

from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime


def turn(steps: list[dict[str, Any]], name: str = "") -> list[dict[str, Any]]:
    """`steps` with the last one closed and, unless it is empty, `name` begun. A step that is begun again after an
    interruption is one entry that starts anew."""
    now = timezone.now()
    done = [dict(step) for step in steps]
    if done and done[-1]["seconds"] is None:
        began = parse_datetime(done[-1]["at"])
        assert began is not None
        if done[-1]["name"] == name:
            done.pop()
        else:
            done[-1]["seconds"] = round((now - began).total_seconds(), 3)
    if name:
        done.append({"name": name, "at": now.isoformat(), "seconds": None})
    return done
