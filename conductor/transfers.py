"""Backups, restores and copies of databases: content on its way, by programs that run beside the conductor.

A backup is written beside its place and becomes one only when it is whole; then it is read back as a proof, if it is
not too large for that. What a restore or a copy reads goes into an empty database beside the real one, and takes its
place in the end: until then, and whenever anything goes wrong, apps have what they had.
"""

import contextlib
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from addons import backup_files, databases
from addons.models import Addon, Schedule, Transfer
from addons.orders import order_of
from addons.providers.postgresql import connections_of, names, note, on_our_disk, server
from conductor.turns import release_connections
from conductor.work import Held, Kind
from core import activity, failpoints, live
from core.errors import EngineError, LeaseLost, Refusal
from engine.servers import dumps
from engine.servers.databases import connection
from engine.servers.dumps import Move

log = logging.getLogger(__name__)

AT_ONCE = 3
LOOK_SECONDS = 0.2
TELL_SECONDS = 1.0  # between two looks that are written down
PROVED_BYTES = 1024**3  # larger backups are only looked through
ROOM_BYTES = 100 * 1024**2  # that stay free on the disk
KEPT = 7  # backups of a plan that says nothing, each of those on request and of those by schedule
SCRIPT_SECONDS = 3600
LEFT = "What it had begun is removed later: the database can't be reached"
LEFT_DAYS = 30  # that this is tried for
UNREAD = "Not read back as a proof: the disk has too little room for a second copy"
_PASSES = re.compile("connection|starting up|shutting down")  # what is worth another try


class Transfers:
    """What is on its way in this process."""

    def __init__(self) -> None:
        self._moves: dict[uuid.UUID, Move] = {}
        self._told: dict[uuid.UUID, float] = {}

    def kind(self) -> Kind:
        """This kind of job."""
        return Kind("transfer", Transfer, AT_ONCE, self.advance, self.fail, turns="ask")

    def advance(self, held: Held) -> float | None:
        """Take the transfer forward; returns after how many seconds to look again."""
        row = _load(held)
        if row.cancel_asked:
            self._end(row)
            _tidy(row)
            row.end(Transfer.Status.CANCELLED, reason="Somebody cancelled it.")
            _tell(row)
            return None
        move = self._moves.get(row.pk)
        if move is not None and not move.over:
            if held.lost.is_set():
                self._end(row)
                raise LeaseLost(f"Transfer {row.pk}")
            self._progress(row, move)
            return LOOK_SECONDS
        if move is not None:
            reason, size = move.failed, move.bytes
            self._end(row)
            if reason:
                raise EngineError(reason, permanent=not _PASSES.search(reason))
            row.next_step(processed_bytes=size)
        self._go_on(row)
        return LOOK_SECONDS if row.open else None

    def fail(self, job: Any, reason: str) -> None:
        """Give up; the target of a restore or a copy keeps what it has."""
        row = Transfer.objects.whole().get(pk=job.pk)
        row.lease_token = job.lease_token
        self._end(row)
        row.notes = [*row.notes, _noted(reason)]
        try:
            _tidy(row)
        except EngineError as error:
            log.warning("%s leaves something behind: %s", row, error)
            row.notes.append(_noted(LEFT))
        with transaction.atomic():
            row.end(Transfer.Status.FAILED, reason=reason[:500], notes=row.notes)
            activity.record(None, "could not finish", row, app=row.app, reason=reason[:200])
        _tell(row)

    def stop(self) -> None:
        """End what runs; the next conductor starts it again."""
        for move in self._moves.values():
            move.close()
        self._moves.clear()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _go_on(self, row: Transfer) -> None:
        """Begin the step that it stands at; steps without a program are done when this returns."""
        if row.step == len(STEPS[row.kind]):
            return _succeed(row)
        step = STEPS[row.kind][row.step]
        release_connections()
        move = step(row)
        if move is not None:
            self._moves[row.pk] = move
        elif row.status == Transfer.Status.RUNNING:
            row.next_step()

    def _end(self, row: Transfer) -> None:
        if move := self._moves.pop(row.pk, None):
            move.close()
        self._told.pop(row.pk, None)

    def _progress(self, row: Transfer, move: Move) -> None:
        if time.monotonic() - self._told.get(row.pk, float("-inf")) > TELL_SECONDS:
            self._told[row.pk] = time.monotonic()
            row.record(processed_bytes=move.bytes)
            live.tell_now(row.app.topic)


# --- steps ----------------------------------------------------------------------------------------------------------------


def _begin(row: Transfer) -> None:
    """See whether there is room, and write down that it has begun."""
    addon = row.source or row.target
    if addon is None:
        raise EngineError("The database is gone.", permanent=True)
    size = row.backup.processed_bytes if row.backup else _size(addon)
    needed = size // 2 if row.kind != Transfer.Kind.RESTORE else 0
    if row.kind != Transfer.Kind.BACKUP and on_our_disk():
        needed += (row.backup.source_bytes or size) if row.backup else size
    free = shutil.disk_usage(settings.DATA).free
    if free < needed + ROOM_BYTES:
        raise EngineError(
            f"The disk of this Slipway has {free // 1024**2} MB free, and this takes {needed // 1024**2} MB of it, of "
            f"which {ROOM_BYTES // 1024**2} MB must stay free. Try again once whoever operates it has made room.",
            permanent=True,
        )
    note_text = f"From {row.from_name} to {row.to_name}"
    row.record(started_at=timezone.now(), source_bytes=size, notes=[_noted(note_text)])


def _dump(row: Transfer) -> Move:
    """Write the source into a file."""
    if row.source is None:
        raise EngineError("The database is gone.", permanent=True)
    return dumps.dump(_url(row.source), backup_files.part(row.pk), quick=row.kind == Transfer.Kind.COPY)


def _keep(row: Transfer) -> None:
    """Make the file a backup: on the disk for sure, under its own name."""
    place, part = backup_files.path(row.pk), backup_files.part(row.pk)
    if part.exists():
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(place)
    failpoints.reach("backup.stored")
    row.record(tables=dumps.tables(place), processed_bytes=place.stat().st_size)


def _prove(row: Transfer) -> Move | None:
    """Read the backup back into a database that nobody sees."""
    if row.last or row.processed_bytes > PROVED_BYTES:
        return None
    if on_our_disk() and shutil.disk_usage(settings.DATA).free < row.source_bytes + ROOM_BYTES:
        row.record(notes=[*row.notes, _noted(UNREAD)])
        return None
    return _fill(row, _alive(row.source), backup_files.path(row.pk), "proof")


def _proved(row: Transfer) -> None:
    if row.last or row.processed_bytes > PROVED_BYTES or UNREAD in (text for _, text in row.notes):
        return
    addon = _alive(row.source)
    server(start=True).forget(names(order_of(addon)), "proof")
    row.record(proved_at=timezone.now(), notes=[*row.notes, _noted("Read back whole, as a proof")])


def _load_backup(row: Transfer) -> Move:
    """Read the backup into an empty database beside the target."""
    if row.backup is None or not backup_files.path(row.backup.pk).exists():
        raise EngineError("The backup is gone.", permanent=True)
    return _fill(row, _alive(row.target), backup_files.path(row.backup.pk), "next")


def _load_copy(row: Transfer) -> Move:
    """The same with what was just read from the source."""
    return _fill(row, _alive(row.target), backup_files.part(row.pk), "next")


def _fill(row: Transfer, addon: Addon, place: Path, suffix: str) -> Move:
    order, there = order_of(addon), server(start=True)
    there.fresh(names(order), suffix)
    left_out = dumps.choose(place, backup_files.chosen(row.pk), extensions=there.trusted_extensions())
    if left_out and suffix == "next":
        told = _noted(f"Left out, since it is not to be had here: extension {', '.join(left_out)}")
        row.record(warnings=len(left_out), notes=[*row.notes, told])
    url = dumps.other_database(_url(addon), f"{names(order).database}_{suffix}")
    return dumps.load(place, url, chosen=backup_files.chosen(row.pk))


def _script(row: Transfer) -> None:
    """Run the script on the copy that nobody sees yet; statistics make its first queries fast."""
    addon = _alive(row.target)
    url = dumps.other_database(_url(addon), f"{names(order_of(addon)).database}_next")
    with connection(url) as inside:
        inside.execute(f"SET statement_timeout = '{SCRIPT_SECONDS}s'")
        if row.script:
            with inside.transaction():
                inside.execute(row.script.encode())
        inside.execute("ANALYZE")
    if row.script:
        row.record(notes=[*row.notes, _noted("The script has run")])


def _swap(row: Transfer) -> None:
    """Let the copy take the real one's place."""
    failpoints.reach("restore.filled")
    order = order_of(_alive(row.target))
    server(start=True).swap(names(order), "next", connections=connections_of(order.limits), note=note(order))


STEPS: dict[str, list[Callable[[Transfer], Move | None]]] = {
    Transfer.Kind.BACKUP: [_begin, _dump, _keep, _prove, _proved],
    Transfer.Kind.RESTORE: [_begin, _load_backup, _script, _swap],
    Transfer.Kind.COPY: [_begin, _dump, _load_copy, _script, _swap],
}


# --- the rest ---------------------------------------------------------------------------------------------------------------


def take_turns() -> None:
    """Begin the backups whose hour has come, and delete what is beyond what is kept."""
    now = timezone.now()
    for found in Schedule.objects.filter(next_at__lte=now).select_related(
        "by", "addon__plan__service", "addon__app"
    ):
        with transaction.atomic():
            moved = Schedule.objects.filter(pk=found.pk, next_at=found.next_at).update(
                next_at=found.after(now)
            )
            if moved:
                with contextlib.suppress(Refusal):  # it is changing, or going: tomorrow again
                    databases.capture(found.addon, by=None, scheduled=True)
    prune()
    tidy_left()


def prune() -> None:
    """Delete backups beyond what is kept, and files of none."""
    now = timezone.now()
    Transfer.objects.kept().filter(expires_at__lt=now).update(dropped_at=now)
    kept: dict[tuple[Any, bool], int] = {}
    for row in (
        Transfer.objects.kept().filter(last=False).select_related("source__plan").order_by("-created_at")
    ):
        if row.source is None:
            if row.expires_at is None:
                days = timedelta(days=max(settings.KEEP_LAST_BACKUP_DAYS, 1))
                Transfer.objects.filter(pk=row.pk).update(expires_at=now + days)
            continue
        key = (row.source_id, row.scheduled)
        kept[key] = kept.get(key, 0) + 1
        if kept[key] > row.source.plan.limits.get("backups", KEPT):
            Transfer.objects.filter(pk=row.pk).update(dropped_at=now)
    wanted = set(Transfer.objects.kept().values_list("pk", flat=True)) | set(
        Transfer.objects.open().values_list("pk", flat=True)
    )
    backup_files.keep_only(wanted)


def tidy_left() -> None:
    """Remove what transfers left beside databases that could not be reached when they failed: for want of room, most likely,
    of which it takes some."""
    since = timezone.now() - timedelta(days=LEFT_DAYS)
    failed = Transfer.objects.whole().filter(status=Transfer.Status.FAILED, finished_at__gt=since)
    for row in failed:
        if not row.notes or row.notes[-1][1] != LEFT or _is_busy(row):
            continue
        try:
            _tidy(row)
        except EngineError:
            continue
        gone = [*row.notes, _noted("What it had begun is removed")]
        Transfer.objects.filter(pk=row.pk).update(notes=gone)


def _is_busy(row: Transfer) -> bool:
    """Whether another transfer works beside the same database."""
    here = [each for each in (row.source_id, row.target_id) if each]
    return Transfer.objects.open().filter(Q(source__in=here) | Q(target__in=here)).exists()


def _succeed(row: Transfer) -> None:
    for place in (backup_files.part(row.pk), backup_files.chosen(row.pk)):
        place.unlink(missing_ok=True)
    with transaction.atomic():
        row.notes = [*row.notes, _noted("Done")]
        row.end(Transfer.Status.SUCCEEDED, notes=row.notes)
    _tell(row)


def _tidy(row: Transfer) -> None:
    """Remove what it has left half done."""
    for place in (backup_files.part(row.pk), backup_files.chosen(row.pk), backup_files.path(row.pk)):
        place.unlink(missing_ok=True)
    for addon, suffix in (
        (row.target, "next"),
        (row.source if row.kind == Transfer.Kind.BACKUP else None, "proof"),
    ):
        if addon is not None:
            server(start=True).forget(names(order_of(addon)), suffix)


def _load(held: Held) -> Transfer:
    related = (
        "source__plan__service",
        "source__app",
        "target__plan__service",
        "target__app",
        "backup",
        "app",
    )
    row = Transfer.objects.select_related(*related).filter(pk=held.job.pk).first()
    if row is None:
        raise LeaseLost(f"Transfer {held.job.pk}")
    row.lease_token = held.job.lease_token
    return row


def _alive(addon: Addon | None) -> Addon:
    if addon is None:
        raise EngineError("The database is gone.", permanent=True)
    return addon


def _url(addon: Addon) -> str:
    return addon.config[""]["URL"]


def _size(addon: Addon) -> int:
    with connection(_url(addon)) as inside:
        row = inside.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def _noted(text: str) -> list[str]:
    return [timezone.now().isoformat(timespec="seconds"), text[:300]]


def _tell(row: Transfer) -> None:
    live.tell_now(row.app.topic)
