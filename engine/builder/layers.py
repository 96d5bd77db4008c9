"""Unpacked layers of slugs. Slugs of one app mostly share theirs, so a new slug's tree is links to files that are there
already, and only the app's own code is unpacked."""

import errno
import hashlib
import io
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from core.errors import BuildFailed
from engine.builder.unpack import show, unpack

CHUNK = 1024 * 1024


class Part(io.RawIOBase):
    """A stretch of a file, read as if it were a file of its own."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self.file, self.start, self.length, self.at = file, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation
        self.at = offset
        return offset

    def read(self, size: int | None = -1) -> bytes:
        left = self.length - self.at
        self.file.seek(self.start + self.at)
        data = self.file.read(left if size is None or size < 0 else min(size, left))
        self.at += len(data)
        return data

    def digest(self) -> str:
        """SHA-256 of its bytes, in hex."""
        sha, self.at = hashlib.sha256(), 0
        while data := self.read(CHUNK):
            sha.update(data)
        self.at = 0
        return sha.hexdigest()


class Layers:
    """Below `root`, each layer under the digest of its bytes: whoever made it, that is what is in it. `is_whole` and
    `seal` tell finished folders from others."""

    def __init__(self, root: Path, *, is_whole: Callable[[Path], bool], seal: Callable[[Path], None]) -> None:
        self.root, self.is_whole, self.seal = root, is_whole, seal
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def files(self, part: Part, *, max_bytes: int, max_files: int) -> Path:
        """The unpacked files of a layer. Safe for many at once: each unpacks aside, the first to end wins."""
        folder = self.root / part.digest()
        if not self.is_whole(folder):
            aside = self.root / f".{uuid.uuid4().hex}"
            try:
                (aside / "files").mkdir(parents=True)
                unpack(part, aside / "files", max_bytes=max_bytes, max_files=max_files, outer_links=True)  # type: ignore[arg-type]
                self.seal(aside)
                self._replace(aside, folder)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        os.utime(folder)
        return folder / "files"

    def trim(self, keep: int) -> None:
        """Remove all but the `keep` used last. Trees keep their files."""
        found = [path for path in self.root.iterdir() if not path.name.startswith(".")]
        for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[keep:]:
            doomed = self.root / f".{uuid.uuid4().hex}"
            path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def _replace(self, aside: Path, folder: Path) -> None:
        try:
            aside.rename(folder)
        except OSError:
            if self.is_whole(folder):
                return
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)


def link_tree(source: Path, target: Path, folders: set[bytes]) -> None:
    """Make `target` hold the files of `source` too, as hard links. `folders` are those made there so far, to which
    new ones are added: what is there under the name of a folder and is none of them may be a link that leads out, so
    that it, like any other clash of two layers, is a `BuildFailed`."""
    top = os.fsencode(target)
    pending = [(os.fsencode(source), b"")]
    while pending:
        path, name = pending.pop()
        with os.scandir(path) as found:
            for entry in found:
                inside = name + b"/" + entry.name if name else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, inside))
                    if inside not in folders:
                        _once(os.mkdir, top + b"/" + inside)
                        folders.add(inside)
                else:
                    _once(_link, entry.path, top + b"/" + inside)


def _once(make: Callable[..., None], *names: bytes) -> None:
    try:
        make(*names)
    except FileExistsError:
        raise BuildFailed(f"Two layers of the slug clash at {show(names[-1])}.") from None


def _link(source: bytes, target: bytes) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as fault:
        if fault.errno not in (errno.EMLINK, errno.EXDEV, errno.EPERM):
            raise
        shutil.copy2(source, target, follow_symlinks=False)
