"""What was pushed to apps here, told to whoever wants to know, once it is in the repository for good.

Before git may move a branch, a row says that it is to; the row goes in the transaction that tells of it. So what a kill
leaves is told by the next look, and nothing is told twice.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from apps.models import App
from releases import repositories as repos
from releases.models import Move

log = logging.getLogger(__name__)

LONGEST = timedelta(minutes=10)  # until a branch has moved that may; what has not by then never will
TRIES = 5  # to tell of one, where whoever is told fails


@dataclass(frozen=True)
class Moved:
    """A branch of an app's own repository names another commit; no commit when it is gone."""

    app: App
    branch: str
    commit: str
    before: str
    by: User | None


Listener = Callable[[Moved], None]
_listeners: list[Listener] = []


def follow(listener: Listener) -> None:
    """Have `listener` called with each branch that a push has moved, in a transaction. It may be told late, never
    twice; when it fails, nothing of what it did stays, and it is told again."""
    _listeners.append(listener)


def expect(moves: Iterable[Moved]) -> list[UUID]:
    """Note what git is about to move. Returns what the notes are called."""
    return [row.pk for row in Move.objects.bulk_create(Move(**vars(move)) for move in moves)]


def tell(notes: Iterable[UUID]) -> None:
    """Tell of those that git has moved: it is done with all, and may have turned one down by itself."""
    for row in Move.objects.filter(pk__in=notes).select_related("app", "by"):
        if _stands(row):
            _tell(row)
        else:
            row.delete()


def forget(notes: Iterable[UUID]) -> None:
    """These are not to move after all."""
    Move.objects.filter(pk__in=notes).delete()


def tell_untold() -> int:
    """Tell of what moved when its web process died, and forget what will not move any more. Returns how many it told
    of."""
    told = 0
    for row in Move.objects.select_related("app", "by"):
        if _stands(row):
            told += _tell(row)
        elif row.created_at < timezone.now() - LONGEST:
            with suppress(repos.Busy), repos.pushing(row.app):  # a push that is alive may still be built
                row.delete()
    return told


def _stands(row: Move) -> bool:
    return (repos.head(row.app, f"refs/heads/{row.branch}") or "") == row.commit


def _tell(row: Move) -> bool:
    """Tell everybody, unless somebody else has."""
    move = Moved(row.app, row.branch, row.commit, row.before, row.by)
    try:
        with transaction.atomic():
            gone, _ = Move.objects.filter(pk=row.pk).delete()
            for listener in _listeners if gone else ():
                listener(move)
    except Exception:
        log.exception("News of a push to %s came to nothing", row.app_id)
        _put_off(row)
        return False
    return bool(gone)


def _put_off(row: Move) -> None:
    rows = Move.objects.filter(pk=row.pk)
    rows.filter(tries__gte=TRIES - 1).delete()
    rows.update(tries=F("tries") + 1)
