"""Volumes: folders for what dynos write, which outlive dynos, releases and slugs.

Apps do what they like inside: links that lead elsewhere, folders without end, files that vanish while they are looked at.
So whatever is done here goes from one open folder to the next, and never through a link.
"""

import logging
import os
import shutil
import stat
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

log = logging.getLogger(__name__)

ASIDE = "removed"  # the folder of those that were given up
ENTRIES, SECONDS, DEPTH = 200_000, 20.0, 100  # of one volume that are looked at, and for how long
BLOCK = 512  # bytes that stat(2) counts in
# What is made inside is open to every user who gets that far: apps that share a volume are different ones. Version 2 of
# the extended attribute, with all rights for owner, group and others.
_OPEN = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, 7, 0xFFFFFFFF) for tag in (0x01, 0x04, 0x20))


@dataclass(frozen=True)
class Use:
    """How much a volume holds."""

    bytes: int  # on the disk
    files: int  # folders are none
    whole: bool = True  # False: there is more than could be looked at


class Volumes:
    """Those in the folder `root`, known by the ids (UUIDs) of who ordered them."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def path(self, id: str) -> Path:
        """Where a volume is, or would be. `ValueError` for what is no UUID."""
        return self.root / str(UUID(id))

    def make(self, id: str) -> Path:
        """Have a volume there, empty at first; may be called again at any time. `OSError` says why not.

        Every user may write into it, and none but ours gets there: its parent lets nobody pass, and dynos have the
        volume itself mounted.
        """
        self._own(self.root)
        place = self.path(id)
        place.mkdir(exist_ok=True)
        try:
            os.setxattr(place, "system.posix_acl_default", _OPEN)
        except (OSError, AttributeError) as error:  # a file system, or a system, that has none
            log.info("%s: what one app makes others may be unable to change: %s", place, error)
        place.chmod(0o777)
        return place

    def ids(self) -> set[str]:
        """Those that there are."""
        return {path.name for path in self._inside(self.root) if _is_id(path.name)}

    def put_aside(self, id: str) -> None:
        """Give a volume up: what it holds is kept until `clear`. No error when it is gone."""
        place = self.path(id)
        try:
            place.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # it holds something
            self._own(self.root / ASIDE)
            place.rename(self.root / ASIDE / f"{place.name}.{int(time.time())}")

    def aside(self) -> list[Path]:
        """The folders of volumes that were given up, each named by its id and the second in which it was."""
        return sorted(self._inside(self.root / ASIDE))

    def clear(self, *, older_than: float) -> None:
        """Delete for good what was given up more than so many seconds ago. What resists is tried again the next time."""
        for place in self.aside():
            second = place.name.rpartition(".")[2]
            if second.isdigit() and int(second) <= time.time() - older_than:
                _delete(place)

    def measure(self, id: str, *, entries: int = ENTRIES, seconds: float = SECONDS) -> Use:
        """How much a volume holds, as far as that is found out with so many entries and in that time."""
        count = _Count(entries, time.monotonic() + seconds)
        try:
            folder = os.open(self.path(id), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return Use(0, 0)
        try:
            count.folder(folder)
        finally:
            os.close(folder)
        return Use(count.bytes, count.files, count.whole)

    def _own(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)

    def _inside(self, folder: Path) -> Iterator[Path]:
        return folder.iterdir() if folder.is_dir() else iter(())


@dataclass
class _Count:
    """A look into folders within folders."""

    left: int
    until: float
    bytes: int = 0
    files: int = 0
    whole: bool = True
    linked: set[tuple[int, int]] = field(default_factory=set)  # files with several names, which count once

    def folder(self, fd: int, depth: int = 0) -> None:
        with os.scandir(fd) as entries:
            for entry in entries:
                self.left -= 1
                if self.left < 0 or time.monotonic() > self.until:
                    self.whole = False
                    return
                try:
                    found = os.stat(entry.name, dir_fd=fd, follow_symlinks=False)
                except OSError:
                    continue  # gone a moment ago
                self._add(found)
                if stat.S_ISDIR(found.st_mode):
                    self._enter(entry.name, fd, depth + 1)

    def _add(self, found: os.stat_result) -> None:
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) in self.linked:
                return
            self.linked.add((found.st_dev, found.st_ino))
        self.bytes += found.st_blocks * BLOCK
        self.files += not stat.S_ISDIR(found.st_mode)

    def _enter(self, name: str, fd: int, depth: int) -> None:
        if depth > DEPTH:
            self.whole = False
            return
        try:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        except FileNotFoundError:
            return
        except OSError:  # it is not for us to read
            self.whole = False
            return
        try:
            self.folder(inner, depth)
        finally:
            os.close(inner)


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _delete(place: Path) -> None:
    """Delete a folder with all that is in it, links and not what they lead to."""

    def open_up(function: Any, path: str, _: Any) -> None:
        if os.geteuid() == 0 or os.path.islink(path):  # noqa: PTH114 - a superuser lacks no right
            return
        try:
            os.chmod(os.path.dirname(path), 0o700)  # noqa: PTH101, PTH120
            os.chmod(path, 0o700)  # noqa: PTH101
        except OSError:
            return  # another user's

    for _ in range(2):  # once more with the rights that were lacking
        shutil.rmtree(place, onerror=open_up)
        if not place.exists():
            return
    log.warning("%s can't be deleted as a whole: other users' files are in it, or are still written", place)
