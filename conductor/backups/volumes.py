"""The folders of `storage` in a backup: each as a tar of its own, cut into pieces, since nobody knows its size beforehand.

Apps go on writing, so each file is as it was when it was read, and all of them are not of one moment. Nothing that apps made is
trusted: no link is followed, neither on the way in nor on the way out, and what is neither file, folder nor link stays out.
"""

import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast

from conductor.backups.archive import PIECE, Writer
from core import space
from engine.volumes import DEPTH, Volumes

FOLDER = "volumes"  # in a backup, as below the data folder
PART_BYTES = 32 * 1024**2
HERE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@dataclass
class Taken:
    """What went into a backup."""

    volumes: int = 0
    files: int = 0
    bytes: int = 0
    left_out: list[str] = field(default_factory=list)  # what could not be read, below the folder of volumes


def take(writer: Writer, volumes: Volumes) -> Taken:
    """Add all volumes to a backup."""
    taken = Taken()
    for id in sorted(volumes.ids()):
        with suppress(FileNotFoundError):  # given up a moment ago
            folder = os.open(volumes.path(id), HERE)
            with _opened(folder), closing(_Parts(writer, id)) as parts:
                with tarfile.open(fileobj=cast(BinaryIO, parts), mode="w|", format=tarfile.PAX_FORMAT) as tar:
                    _Walk(tar, id, taken).folder(folder, "")
            taken.volumes += 1
    return taken


def put_back(staged: Path, volumes: Volumes) -> list[str]:
    """Make volumes of what a backup had; returns what could not be made. `staged` is where its members of `FOLDER` are, and
    what has been read of them goes. `OSError` when the disk is full."""
    lost = []
    for each in sorted(staged.iterdir()):
        root, times = os.open(volumes.make(each.name), HERE), []
        with _opened(root), tarfile.open(fileobj=cast(BinaryIO, _Joined(each)), mode="r|") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # which it would keep all of
                try:
                    _unpack(tar, member, root)
                except OSError as error:
                    if space.is_full(error):
                        raise
                    lost.append(f"{each.name}/{member.name}")
                if member.isdir():
                    times.append((member.name, member.mtime))
            for path, time in reversed(times):  # inside first: what is put in changes it
                *folders, name = _steps(path)
                with suppress(OSError), _inside(root, folders) as fd:
                    os.utime(name, (time, time), dir_fd=fd, follow_symlinks=False)
    return lost


# --- on the way in ----------------------------------------------------------------------------------------------------


@dataclass
class _Walk:
    """Takes one volume, from one open folder to the next."""

    tar: tarfile.TarFile
    id: str
    taken: Taken
    linked: dict[tuple[int, int], str] = field(default_factory=dict)  # files of several names

    def folder(self, fd: int, path: str, depth: int = 0) -> None:
        with os.scandir(fd) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            inner = f"{path}/{name}" if path else name
            try:
                self._entry(fd, name, inner, depth)
            except FileNotFoundError:
                continue  # gone a moment ago
            except OSError:  # it is not for us to read
                self.taken.left_out.append(f"{self.id}/{inner}")

    def _entry(self, fd: int, name: str, path: str, depth: int) -> None:
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        member = _member(path, found)
        if stat.S_ISLNK(found.st_mode):
            member.type, member.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=fd)
            self.tar.addfile(member)
        elif stat.S_ISDIR(found.st_mode) and depth < DEPTH:
            with _opened(os.open(name, HERE, dir_fd=fd)) as inner:
                member.type = tarfile.DIRTYPE
                self.tar.addfile(member)
                self.folder(inner, path, depth + 1)
        elif stat.S_ISREG(found.st_mode):
            self._file(fd, name, member, found)
        else:
            self.taken.left_out.append(f"{self.id}/{path}")
        self.tar.members = []  # type: ignore[attr-defined]  # which it would keep all of

    def _file(self, fd: int, name: str, member: tarfile.TarInfo, found: os.stat_result) -> None:
        if known := self.linked.get((found.st_dev, found.st_ino)):
            member.type, member.linkname = tarfile.LNKTYPE, known
            self.tar.addfile(member)
            return
        # Should it have become something else meanwhile, a pipe, say, nobody waits for that.
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(f"{name} is no file any more")
            member.size = os.fstat(file.fileno()).st_size
            self.tar.addfile(member, cast(IO[bytes], _Whole(file, member.size)))
        if found.st_nlink > 1:
            self.linked[found.st_dev, found.st_ino] = member.name
        self.taken.files += 1
        self.taken.bytes += member.size


class _Whole:
    """A file that is as long as it was, whatever becomes of it: zeros stand for what was cut off."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        size = min(size, self._left) if size >= 0 else self._left
        data = self._file.read(size)
        self._left -= size
        return data + bytes(size - len(data))


class _Parts:
    """Cuts what is written into members of a backup."""

    def __init__(self, writer: Writer, id: str) -> None:
        self._writer, self._id, self._number, self._data = writer, id, 0, bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        while len(self._data) >= PART_BYTES:
            self._put(PART_BYTES)
        return len(data)

    def close(self) -> None:
        """Put the rest."""
        if self._data:
            self._put(len(self._data))

    def _put(self, size: int) -> None:
        self._number += 1
        self._writer.add_bytes(f"{FOLDER}/{self._id}/{self._number:08}.part", bytes(self._data[:size]))
        del self._data[:size]


def _member(path: str, found: os.stat_result) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.mode, member.uid, member.gid = stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
    member.mtime = found.st_mtime
    return member


# --- on the way out ---------------------------------------------------------------------------------------------------


class _Joined:
    """The parts of a volume one after the other; each is deleted once it was read, so that the room is needed once."""

    def __init__(self, folder: Path) -> None:
        self._parts = iter(sorted(folder.iterdir()))
        self._part: IO[bytes] | None = None

    def read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            if self._part is None:
                part = next(self._parts, None)
                if part is None:
                    break
                self._part = part.open("rb")
                part.unlink()
            if data := self._part.read(size - len(found)):
                found += data
            else:
                self._part.close()
                self._part = None
        return found


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, root: int) -> None:
    """Make one thing below the open folder `root`."""
    *folders, name = _steps(member.name)
    with _inside(root, folders) as fd:
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=fd)
        elif member.islnk():
            *others, first = _steps(member.linkname)
            with _inside(root, others) as other:
                os.link(first, name, src_dir_fd=other, dst_dir_fd=fd, follow_symlinks=False)
            return
        elif member.isdir():
            os.mkdir(name, dir_fd=fd)
        else:
            _write(tar, member, fd, name)
        mode = member.mode
        if os.geteuid() == 0:
            os.chown(name, member.uid, member.gid, dir_fd=fd, follow_symlinks=False)
        else:  # the app that it belonged to is anybody now; none but those of this storage get here
            mode |= (mode & 0o700) >> 3 | (mode & 0o700) >> 6
        if not member.issym():  # after the owner, whose change takes rights away
            os.chmod(name, mode, dir_fd=fd)
        os.utime(name, (member.mtime, member.mtime), dir_fd=fd, follow_symlinks=False)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, fd: int, name: str) -> None:
    source = tar.extractfile(member)
    if source is None:
        raise OSError(f"{member.name} is no file")
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(name, how, 0o666, dir_fd=fd), "wb") as target:
        while piece := source.read(PIECE):
            target.write(piece)


def _steps(path: str) -> list[str]:
    steps = path.split("/")
    if {"", ".", ".."} & set(steps):
        raise tarfile.TarError(f"{path!r} is no path of a volume")
    return steps


@contextmanager
def _inside(root: int, folders: list[str]) -> Iterator[int]:
    """The open folder that these lead to, through no link."""
    fd = os.dup(root)
    try:
        for folder in folders:
            inner = os.open(folder, HERE, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _opened(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
