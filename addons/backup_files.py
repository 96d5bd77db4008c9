"""Where backups of databases are: a folder of the platform's that no dyno sees, a file each, for nobody else's eyes."""

from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from django.conf import settings


def path(id: UUID) -> Path:
    """The backup with this id."""
    return _folder() / f"{id}.dump"


def part(id: UUID) -> Path:
    """What is being written, or passed on."""
    return _folder() / f"{id}.part"


def chosen(id: UUID) -> Path:
    """The list of what is read of it."""
    return _folder() / f"{id}.list"


def keep_only(ids: Iterable[UUID]) -> None:
    """Delete the files of all others."""
    wanted = {str(id) for id in ids}
    for place in _folder().iterdir():
        if place.name.partition(".")[0] not in wanted:
            place.unlink(missing_ok=True)


def _folder() -> Path:
    folder: Path = settings.DATA / "database-backups"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)  # one that a backup of the platform was unpacked into
    return folder
