"""Backups that are made by themselves, by the conductor that leads."""

import logging
import time

from django.conf import settings
from django.utils import timezone

from conductor.backups import history
from conductor.backups.make import make_file
from core.errors import Refusal

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0  # between two looks whether one is due
AGAIN_SECONDS = 600.0  # after one that failed


def look() -> bool:
    """Make a backup if one is due, and delete those beyond the newest `BACKUP_KEEP`; whether one was made."""
    if not settings.BACKUP_HOURS or not due():
        return False
    target = history.folder() / history.new_name()
    try:
        make_file(target, storage=settings.BACKUP_STORAGE)
    except (OSError, Refusal) as error:
        log.error("The backup to %s failed: %s", target, error)
        history.note_failure(str(error))
        return False
    for old in history.kept()[max(1, settings.BACKUP_KEEP) :]:
        old.unlink(missing_ok=True)
    return True


def due() -> bool:
    """Whether the last backup is too old, and no try has failed a moment ago."""
    last = history.last() or {}
    now = time.time()
    if last.get("failed_at") and now - last["failed_at"] < AGAIN_SECONDS:
        return False
    return now - (last.get("at") or 0) >= settings.BACKUP_HOURS * 3600


def age() -> float | None:
    """Seconds since the moment of the last backup; None when there is none."""
    last = history.last()
    return timezone.now().timestamp() - last["at"] if last and last["at"] else None
