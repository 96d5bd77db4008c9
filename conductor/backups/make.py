"""Making a backup."""

import fcntl
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import connection

from addons.providers.storage import volumes as storages
from conductor.backups import archive, database, files, history, volumes
from core import failpoints, secrets, version
from core.errors import Conflict
from releases import repositories, rotation

FORMAT = 1
STALE = "backup-*"
_SLUGS = "SELECT DISTINCT digest FROM releases_slug WHERE expired_at IS NULL AND digest LIKE 'sha256:%'"  # else an image
_SOURCES = "SELECT DISTINCT path FROM releases_source WHERE path <> ''"
_BUILT = (
    'SELECT DISTINCT b.app_id, s."commit" FROM releases_build b JOIN releases_source s ON s.id = b.source_id'
    " WHERE b.status = 'succeeded' AND s.\"commit\" <> ''"
)


@dataclass(frozen=True)
class Made:
    """A backup that is there."""

    at: float  # of its snapshot, seconds since the epoch
    seconds: float  # that it took
    bytes: int  # of what is in it, before compression
    repositories: int
    missing: list[str] = field(default_factory=list)  # archives that the database names and the disk lacks
    storage: volumes.Taken = field(default_factory=volumes.Taken)


def make_file(target: Path, *, logs: bool = True, storage: bool = True) -> Made:
    """A backup in the file `target`, which is there only once it is whole, on the disk, and has been read again."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            made = make(file, logs=logs, storage=storage)
            file.flush()
            os.fsync(file.fileno())
        with part.open("rb") as file:
            archive.unpack(file, None)
        part.rename(target)
        repositories.sync(target.parent)
    finally:
        part.unlink(missing_ok=True)
    history.note(made.at, file=str(target), bytes=target.stat().st_size, seconds=made.seconds)
    return made


def make(to: BinaryIO, *, logs: bool = True, storage: bool = True) -> Made:
    """Write a backup to `to`, a file or a pipe, while the platform goes on. `Conflict` while another is made."""
    started = time.monotonic()
    with _scratch() as scratch, archive.writing(to) as writer:
        held = files.Held(settings.DATA, scratch)
        held.take()
        writer.add_text(archive.HEAD, json.dumps(_head()))
        before = {name: _add(writer, name, scratch) for name in files.repository_names()}
        with database.snapshot(scratch) as snapshot:
            at = time.time()
            failpoints.reach("backup.snapshot")
            held.take()
            missing = held.lacks(*_named(snapshot))
            snapshot.write(writer, scratch)
            built = _built(snapshot)
        held.write(writer)
        _catch_up(writer, scratch, before, built)
        if logs:
            _add_logs(writer)
        taken = volumes.take(writer, storages()) if storage else volumes.Taken()
    return Made(at, time.monotonic() - started, writer.bytes, len(before), missing, taken)


def _head() -> dict[str, Any]:
    """What a reader has to know first. Names of keys, never a key."""
    id = uuid.uuid4().hex
    return {
        "format": FORMAT,
        "id": id,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "slipway": version.slipway(),
        "database": connection.vendor,
        "migrations": database.applied_migrations(),
        "keys": sorted({secrets.current_key(), *rotation.keys_in_use()}),
        "probe": secrets.seal(b"slipway", to=f"backup/{id}"),
        "url": settings.URL,
    }


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder beside the data, for one backup at a time; what a killed one left is cleared."""
    for name in ("run", "tmp"):
        (settings.DATA / name).mkdir(parents=True, exist_ok=True)
    with (settings.DATA / "run" / "backup.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Another backup is being made. Wait for it.") from None
        for left in (settings.DATA / "tmp").glob(STALE):
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="backup-", dir=settings.DATA / "tmp"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _named(snapshot: database.Snapshot) -> tuple[list[str], list[str]]:
    """Digests of slugs, and paths of sources, that rows name."""
    return [row[0] for row in snapshot.rows(_SLUGS)], [row[0] for row in snapshot.rows(_SOURCES)]


def _built(snapshot: database.Snapshot) -> set[tuple[uuid.UUID, str]]:
    """App and commit of every build that had succeeded."""
    rows = snapshot.rows(_BUILT)
    return {(uuid.UUID(str(app)), commit) for app, commit in rows}


def _add(writer: archive.Writer, name: str, scratch: Path) -> files.Heads:
    """Add a repository, if there is anything in it."""
    place = scratch / f"{name}.bundle"
    found = files.bundle(name, place)
    if found:
        writer.add(f"repos/{name}.bundle", place)
        place.unlink()
    return found


def _catch_up(
    writer: archive.Writer,
    scratch: Path,
    before: dict[str, files.Heads],
    built: set[tuple[uuid.UUID, str]],
) -> None:
    """Take repositories again that have moved on, unless they are ahead of the snapshot by now."""
    for name in files.repository_names():
        now = files.heads(name)
        if now != before.get(name, {}) and _fits(name, now, built):
            place = scratch / f"{name}.bundle"
            again = files.bundle(name, place)
            if again and _fits(name, again, built):
                writer.add(f"repos/{name}.bundle", place)
            place.unlink(missing_ok=True)


def _fits(name: str, heads: files.Heads, built: set[tuple[uuid.UUID, str]]) -> bool:
    return all((uuid.UUID(name), heads[ref]) in built for ref in repositories.DEPLOYING if ref in heads)


def _add_logs(writer: archive.Writer) -> None:
    root = settings.DATA / "logs"
    for file in sorted(root.rglob("*")) if root.is_dir() else ():
        with suppress(FileNotFoundError):  # outgrown a moment ago
            if file.is_file():
                writer.add(f"logs/{file.relative_to(root)}", file)
