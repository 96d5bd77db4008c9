"""Scheduled jobs: begin what is due."""

from scheduler import runs

LOOK_SECONDS = 1.0


def look() -> None:
    """Begin every run that is due. Safe to run twice, and by two."""
    runs.run_due()
