"""The files of a backup: archives that are held by links while others may delete them, and repositories."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from conductor.backups.archive import Writer
from releases import repositories

BUNDLE_SECONDS = 3600
FOLDERS = {
    "slugs": "slugs/archives",
    "sources": "sources",
    "buildpacks": "buildpacks",
    "database-backups": "database-backups",
}
Heads = dict[str, str]  # ref: commit


class Held:
    """Names of our own for the archives in the data folder: whoever deletes one there takes nothing from us."""

    def __init__(self, data: Path, scratch: Path) -> None:
        self._data, self._scratch = data, scratch

    def take(self) -> None:
        """Hold what is there now and not held yet."""
        for name in FOLDERS:
            for file in _files(self._data / FOLDERS[name]):
                place = self._scratch / name / file.relative_to(self._data / FOLDERS[name])
                if not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with suppress(FileNotFoundError):  # deleted a moment ago
                        _link(file, place)

    def write(self, writer: Writer) -> None:
        """Add all that is held."""
        for name, folder in FOLDERS.items():
            for file in _files(self._scratch / name):
                writer.add(f"{folder}/{file.relative_to(self._scratch / name)}", file)

    def lacks(self, slugs: list[str], sources: list[str]) -> list[str]:
        """What of these digests, and paths below the data folder, is not held."""
        missing = [d for d in slugs if not (self._scratch / "slugs" / f"{d[7:]}.tar.zst").exists()]
        return missing + [p for p in sources if not (self._scratch / p).exists()]


def _files(folder: Path) -> Iterator[Path]:
    """Whole files below: not those that are still being written."""
    if folder.is_dir():
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.name.startswith(".") and file.suffix != ".part":
                yield file


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except FileNotFoundError:
        raise
    except OSError:  # on another file system, or one without links
        shutil.copyfile(file, place)


def repository_names() -> list[str]:
    """The apps' ids that have a repository."""
    root = repositories.root()
    return (
        sorted(place.name.removesuffix(".git") for place in root.glob("[!.]*.git")) if root.is_dir() else []
    )


def heads(name: str) -> Heads:
    """The refs of a repository now; none when it is gone."""
    with suppress(repositories.GitFailed):
        found = repositories.git(
            repositories.root() / f"{name}.git", "for-each-ref", "--format=%(objectname) %(refname)"
        )
        return _read(found)
    return {}


def bundle(name: str, target: Path) -> Heads:
    """Write the repository into `target`, one file that git reads; returns its refs. None, and no file, when it has
    none."""
    place = repositories.root() / f"{name}.git"
    try:
        repositories.git(place, "bundle", "create", "--quiet", str(target), "--all", seconds=BUNDLE_SECONDS)
        return _read(repositories.git(place, "bundle", "list-heads", str(target)))
    except repositories.GitFailed:
        target.unlink(missing_ok=True)
        if heads(name):
            raise
        return {}


def unbundle(file: Path, place: Path) -> None:
    """Make the bare repository at `place` again from a bundle."""
    repositories.make(place)
    options = ("fetch", "--quiet", "--no-write-fetch-head", str(file), "+refs/*:refs/*")
    repositories.git(place, *options, seconds=BUNDLE_SECONDS)


def _read(lines: bytes) -> Heads:
    pairs = [line.split(" ", 1) for line in lines.decode("utf-8", "surrogateescape").splitlines()]
    return {ref: sha for sha, ref in pairs if ref.startswith("refs/")}
