"""Putting a backup back: into an empty Slipway, or over one that may go."""

import fcntl
import os
import shutil
import tarfile
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import DatabaseError, connection

from apps.models import App
from conductor import status
from conductor.backups import archive, database, files, volumes
from conductor.backups.make import FORMAT
from core import secrets, version
from core.errors import Conflict, Refusal
from engine.volumes import Volumes
from releases import repositories

PLACES = (
    "repos",
    "slugs",
    "sources",
    "logs",
    "buildpacks",
    "database-backups",
    volumes.FOLDER,
)  # below the data folder


@dataclass(frozen=True)
class Restored:
    """What a backup holds, or what was put back."""

    made: str  # when, in UTC
    slipway: str  # by which version
    counts: dict[str, int]  # members by kind: repos, slugs, sources, logs …
    bytes: int
    aside: Path | None = None  # where what was there before is now
    lost: tuple[str, ...] = ()  # files of storages that could not be made


def check(source: BinaryIO) -> Restored:
    """Read all of a backup and compare every digest; nothing is written. `Damaged` says what is wrong."""
    head, sizes = archive.unpack(source, None)
    _demand_known(head)
    return _told(head, sizes)


def restore(source: BinaryIO, *, over: bool = False) -> Restored:
    """Put a backup into this installation's database and data folder, which have to be empty unless `over`; files that
    were there are moved aside then, rows are gone. The platform must not run."""
    with _alone():
        if not over:
            _demand_empty()
        (settings.DATA / "tmp").mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix="restore-", dir=settings.DATA / "tmp"))
        try:
            head, sizes = archive.unpack(source, staged)
            os.sync()
            _demand_fitting(head)
            lost = _unpack_volumes(staged)
            database.load(staged, head["migrations"])
            aside = _place(staged)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return _told(head, sizes, aside, tuple(lost))


def _told(
    head: dict[str, Any], sizes: dict[str, int], aside: Path | None = None, lost: tuple[str, ...] = ()
) -> Restored:
    counts = Counter(name.split("/", 1)[0] for name in sizes)
    counts[volumes.FOLDER] = len(
        {name.split("/")[1] for name in sizes if name.startswith(f"{volumes.FOLDER}/")}
    )
    return Restored(head["made"], head["slipway"], dict(counts), sum(sizes.values()), aside, lost)


# --- what has to be so ------------------------------------------------------------------------------------------------


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the data folder, as the platform does while it runs."""
    folder = settings.DATA / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for name in ("lock", "conductor.lock", "backup.lock"):
            file = stack.enter_context((folder / name).open("a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"Slipway is running on {settings.DATA}. Stop it first.") from None
        if _others():
            raise Conflict(
                "A conductor is running on this database. Stop all web processes and conductors first."
            )
        yield


def _others() -> bool:
    """Whether one of several conductors is alive, which hold no file."""
    try:
        return status.several() and bool(status.conductors())
    except DatabaseError:  # there are no tables yet
        return False


def _demand_empty() -> None:
    full = [name for name in ("repos", "slugs/archives", "sources") if _has_files(settings.DATA / name)]
    if full or not database.is_empty():
        what = (
            f"{settings.DATA} holds {full[0].split('/')[0]}"
            if full
            else "The database holds accounts or apps"
        )
        raise Conflict(
            f"{what} already. Restore into an empty data folder and database, or say --over to replace what is there."
        )


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir())


def _demand_known(head: dict[str, Any]) -> None:
    if head.get("format") != FORMAT:
        raise Refusal(
            f"This backup has format {head.get('format')}; Slipway {version.slipway()} reads format {FORMAT}. "
            "Restore it with the version that made it."
        )


def _demand_fitting(head: dict[str, Any]) -> None:
    """Database, version and keys of this installation must be able to take it."""
    _demand_known(head)
    if head["database"] != connection.vendor:
        raise Refusal(
            f"This backup is of a {head['database']} database, and DATABASE_URL names a {connection.vendor} one. "
            "Restore into the same kind."
        )
    if newer := database.unknown(head["migrations"]):
        raise Refusal(
            f"This backup was made by Slipway {head['slipway']}, which is newer than this one "
            f"({version.slipway()}): it has {newer[0]}. Restore it with that version or a later one."
        )
    here = {key.partition(":")[0] for key in settings.SLIPWAY_KEYS}
    if missing := set(head["keys"]) - here:
        raise Refusal(
            f"The key {', '.join(sorted(missing))} is not in SLIPWAY_KEYS. A backup holds no key: put the keys of the "
            "Slipway that made it (its keys.env) in place first."
        )
    try:
        secrets.unseal(head["probe"], to=f"backup/{head['id']}")
    except secrets.Tampered:
        raise Refusal(
            "The keys in SLIPWAY_KEYS have the right names but are not those of the Slipway that made this backup. "
            "Put its keys.env in place first."
        ) from None


# --- files ------------------------------------------------------------------------------------------------------------


def _place(staged: Path) -> Path | None:
    """Move what was unpacked to where it belongs; returns where what was there is now."""
    aside = _set_aside([name for name in PLACES if name != volumes.FOLDER or (staged / name).is_dir()])
    for name in PLACES:
        if name == "repos":
            _make_repositories(staged / name)
        elif (staged / name).is_dir():
            shutil.move(staged / name, settings.DATA / name)
    repositories.sync(settings.DATA)
    os.sync()
    return aside


def _unpack_volumes(staged: Path) -> list[str]:
    """Have folders where the pieces of storages are; returns what could not be made."""
    pieces, whole = staged / volumes.FOLDER, staged / "whole"
    if not pieces.is_dir():
        return []  # a backup without: what is there stays
    try:
        lost = volumes.put_back(pieces, Volumes(whole))
    except (tarfile.TarError, ValueError) as error:
        raise archive.Damaged(f"The storages in this backup are damaged: {error}") from error
    shutil.rmtree(pieces)
    whole.rename(pieces)
    return lost


def _set_aside(places: list[str]) -> Path | None:
    """Move what is there in these away; returns where to."""
    aside = settings.DATA / f"before-restore-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for name in (*places, "run/status.json", "run/backup.json"):
        if (place := settings.DATA / name).exists():
            target = aside / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            place.rename(target)
    return aside if aside.exists() else None


def _make_repositories(bundles: Path) -> None:
    """Of the apps that the database knows: others were destroyed, or made after its moment."""
    repositories.root().mkdir(parents=True, exist_ok=True, mode=0o700)
    for app_id in App.objects.values_list("pk", flat=True):
        bundle = bundles / f"{app_id}.bundle"
        if bundle.exists():
            made = Path(tempfile.mkdtemp(dir=repositories.root(), prefix=".new-"))
            files.unbundle(bundle, made)
            made.rename(repositories.path(uuid.UUID(str(app_id))))
