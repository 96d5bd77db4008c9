"""What the router counted becomes rows of apps' minutes, every few seconds and at the end."""

import logging
import time

from django.db import DatabaseError

from apps import traffic
from conductor.parts import Parts

log = logging.getLogger(__name__)
EVERY_SECONDS = 5.0


def write(parts: Parts) -> None:
    """Write down what was counted since the last call; what the database does not take is kept for the next."""
    counts = parts.tally.take(time.time())
    if not counts:
        return
    try:
        traffic.add(counts)
    except DatabaseError:
        parts.tally.put_back(counts)
        raise


def finish(parts: Parts) -> None:
    """Write down the last of it; nothing else waits for that."""
    try:
        write(parts)
    except DatabaseError:
        log.exception("What the router counted in the last seconds is lost")
