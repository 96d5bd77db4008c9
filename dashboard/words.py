"""Lengths of time in words, for estimates, settings and what is left."""

from math import ceil


def about(seconds: float) -> str:
    """A length of time as roughly as it is known: “a few seconds”, “20 s”, “2 min”."""
    if seconds < 4:
        return "a few seconds"
    if seconds < 55:
        return f"{max(round(seconds / 5) * 5, 5)} s"
    if seconds < 90:
        return "a minute"
    return f"{round(seconds / 60)} min"


def span(minutes: int) -> str:
    """A number of minutes in its largest whole unit: “30 minutes”, “1 hour”, “2 days”."""
    for unit, size in (("day", 24 * 60), ("hour", 60), ("minute", 1)):
        if minutes % size == 0:
            number = minutes // size
            return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
    raise AssertionError


def trial(percent: int, seconds: float) -> str:
    """How a release on trial stands, with the seconds that are left: “Canary: 10 % for 3 more min”."""
    if seconds <= 0:
        return f"Canary: {percent} %, its time is up"
    if seconds < 60:
        return f"Canary: {percent} % for less than a minute"
    return f"Canary: {percent} % for {ceil(seconds / 60)} more min"
