"""How rows that are jobs are moved forward, whatever kind they are."""

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import IntegrityError

from core import activity, space
from core.errors import BuildFailed, EngineError, LeaseLost, ReleaseFailed
from core.jobs import Job, JobQuerySet

log = logging.getLogger(__name__)

ATTEMPTS = 8  # claims of one row, after which its trouble is not the world's passing mood any more
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0  # seconds between attempts: about a minute for all of them
Key = tuple[str, uuid.UUID]  # the kind of a row, and its id


@dataclass
class Held:
    """A row in hand, by its lease."""

    kind: "Kind"
    job: Any
    lost: threading.Event = field(default_factory=threading.Event)  # someone else has it now
    cancel: threading.Event = field(default_factory=threading.Event)  # somebody asked for it to end

    @property
    def key(self) -> Key:
        """What it is known by among all that is in hand."""
        return self.kind.name, self.job.pk


@dataclass(frozen=True)
class Kind:
    """A kind of job: which rows, how many at a time, and what is done with one.

    `advance` runs steps until the row has ended (None) or there is nothing to do before something happens or some
    seconds have passed (which it returns). `fail` writes the end of a row that can't go on. Of several conductors only
    the one that leads takes those that are `led`.
    """

    name: str
    model: type[Job]
    room: int
    advance: Callable[[Held], float | None]
    fail: Callable[[Any, str], None]
    led: bool = False
    turns: str = "move"  # whose threads do it: "build", "ask" (what waits for others), or else "move"

    def claim(self) -> Held | None:
        """Take the next row, if there is one that is free."""
        try:
            rows: JobQuerySet = self.model._default_manager.all()  # type: ignore[assignment]
            job = rows.claim(seconds=settings.LEASE_SECONDS)
        except IntegrityError:  # another conductor was faster with a row of the same app
            return None
        return Held(self, job) if job else None


def run(held: Held) -> float | None:
    """Move a row forward. Returns after how many seconds to go on with it; None when it is out of our hands."""
    try:
        if held.job.attempt > ATTEMPTS:
            raise EngineError("The platform was interrupted each time it tried this.", permanent=True)
        with activity.coming("conductor"):
            return held.kind.advance(held)
    except LeaseLost:
        log.warning("Lost the lease on %s %s", *held.key)
    except (BuildFailed, ReleaseFailed) as fault:
        _let_end(held, str(fault), again=False)
    except EngineError as fault:
        log.warning("%s %s: %s", *held.key, fault)
        _let_end(held, str(fault), again=not fault.permanent)
    except Exception as error:
        if space.note(f"{held.kind.name} {held.job.pk}", error):
            _let_end(held, space.WORDS, again=True)
            return None
        reference = uuid.uuid4().hex[:12]
        log.exception("%s %s failed, reference %s", *held.key, reference)
        reason = f"Something went wrong on the platform's side. Its operator finds why under {reference}."
        _let_end(held, reason, again=True)
    return None


def _let_end(held: Held, reason: str, *, again: bool) -> None:
    """End the row, or put it back for a while if it may be tried again."""
    try:
        if again and held.job.attempt < ATTEMPTS:
            held.job.put_back(seconds=min(FIRST_PAUSE * 2 ** (held.job.attempt - 1), LONGEST_PAUSE))
        else:
            held.kind.fail(held.job, reason)
    except LeaseLost:
        log.warning("Lost the lease on %s %s", *held.key)
