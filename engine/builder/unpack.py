"""The one place where archives are unpacked, beside `peek`. They are hostile: made by whoever may push."""

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from core.errors import BuildFailed

CHUNK = 1024 * 1024
BUFFER = 32 * 1024  # tarfile copies what is left of it for every header
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
DAMAGE = (
    tarfile.TarError,
    zlib.error,
    zstandard.ZstdError,
    gzip.BadGzipFile,
    EOFError,
    OverflowError,
    ValueError,
)
HEADER_BYTES = 64 * 1024  # of long names and extended headers, per entry


def unpack(
    archive: Path | BinaryIO,
    into: Path,
    *,
    max_bytes: int,
    max_files: int,
    outer_links: bool = False,
    folders: Iterable[bytes] = (),
) -> int:
    """Unpack a tar archive (plain, gzipped or zstd) into the folder `into`, which is empty or holds `folders` and files
    from an earlier part of the same archive; returns the bytes of its files.

    Refuses, with a `BuildFailed` that says why: names that are absolute or leave the folder, links that leave it
    (unless `outer_links`), devices and pipes, more than `max_bytes` or `max_files`, and damaged archives. Set-uid
    bits are dropped, files come out as 0644 or 0755 and belong to the caller. Bytes are counted while reading, so a
    bomb stops early. Links are made last, so nothing is ever written through one.
    """
    try:
        with tar_stream(archive) as stream:
            return _Unpacker(into, max_bytes, max_files, outer_links, folders).run(stream)
    except DAMAGE as fault:
        raise BuildFailed(f"The archive is damaged or not a tar archive: {fault}.") from fault


@contextmanager
def tar_stream(archive: Path | BinaryIO) -> Iterator["_Readable"]:
    """The bytes of the tar archive itself, whatever it is compressed by."""
    if isinstance(archive, Path):
        with archive.open("rb") as file:
            yield _decompressed(file)
    else:
        yield _decompressed(archive)


def _decompressed(file: BinaryIO) -> "_Readable":
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(GZIP):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if magic == ZSTD:
        decompressor = zstandard.ZstdDecompressor(max_window_size=2**27)
        return decompressor.stream_reader(file, read_across_frames=True, closefd=False)
    return file


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Bounded:
    """Counts what is read, headers included, so that endless padding or headers stop too."""

    def __init__(self, stream: _Readable, limit: int) -> None:
        self.stream, self.left, self.limit = stream, limit, limit

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise BuildFailed(f"The archive unpacks to more than {_mb(self.limit)}.")
        return data


class TarInfo(tarfile.TarInfo):
    """Refuses huge extended headers, which tarfile reads into memory whole."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        special = {*b"LKxgX"}
        if self.type and self.type[0] in special and self.size > HEADER_BYTES:
            raise BuildFailed("The archive has a name or header that is too long.")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise BuildFailed(f"The archive has a sparse file, which is not supported: {show(self.name)}.")
        return super()._proc_member(tar)  # type: ignore[misc]


class _Unpacker:
    def __init__(
        self, into: Path, max_bytes: int, max_files: int, outer_links: bool, folders: Iterable[bytes]
    ) -> None:
        self.root, self.outer_links = os.fsencode(into), outer_links
        self.max_bytes, self.max_files = max_bytes, max_files
        self.bytes = self.files = 0
        self.folders: set[bytes] = {b"", *folders}
        self.links: list[tuple[bytes, bytes]] = []

    def run(self, stream: _Readable) -> int:
        overhead = 4096 * (self.max_files + 100)
        bounded = Bounded(stream, self.max_bytes + overhead)
        with tarfile.open(
            fileobj=bounded,  # type: ignore[call-overload]
            mode="r|",
            tarinfo=TarInfo,
            encoding="utf-8",
            errors="surrogateescape",
            bufsize=BUFFER,
        ) as tar:
            for entry in tar:
                tar.members.clear()  # a stream needs no list of what has gone by
                self.files += 1
                if self.files > self.max_files:
                    raise BuildFailed(f"The archive has more than {self.max_files:,} files.")
                self.entry(tar, entry)
        for name, target in self.links:
            self.link(name, target)
        return self.bytes

    def entry(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        name = self.safe(entry.name)
        if entry.isdir():
            self.folder(name)
        elif entry.isreg():
            if any("GNU.sparse" in key for key in entry.pax_headers):
                raise BuildFailed(
                    f"The archive has a sparse file, which is not supported: {show(entry.name)}."
                )
            self.file(name, tar, entry)
        elif entry.issym():
            self.folder(name.rpartition(b"/")[0])
            self.links.append((name, _encoded(entry.linkname)))
        elif entry.islnk():
            self.hard_link(name, self.safe(entry.linkname))
        else:
            raise BuildFailed(f"The archive has a device or pipe: {show(entry.name)}.")

    def safe(self, name: str) -> bytes:
        """`name` as bytes without `.` parts, or a refusal."""
        raw = _encoded(name)
        parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
        if raw.startswith(b"/") or b".." in parts:
            raise BuildFailed(f"The archive has a name that leaves it: {show(name)}.")
        if b"\0" in raw or any(len(part) > 255 for part in parts) or len(raw) > 3000 or len(parts) > 100:
            raise BuildFailed(f"The archive has a name that is too long or not a name: {show(name)[:80]}.")
        return b"/".join(parts)

    def folder(self, name: bytes) -> None:
        if name in self.folders:
            return
        self.folder(name.rpartition(b"/")[0])
        path = self.root + b"/" + name
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            raise BuildFailed(f"The archive has {show(name)} both as a file and as a folder.") from None
        self.folders.add(name)

    def file(self, name: bytes, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        self.bytes += entry.size
        if self.bytes > self.max_bytes:
            raise BuildFailed(f"The archive unpacks to more than {_mb(self.max_bytes)}.")
        source = tar.extractfile(entry)
        if source is None or not name:
            raise BuildFailed(f"The archive has a file without a name: {show(entry.name)}.")
        out = self.create(name, 0o755 if entry.mode & 0o100 else 0o644)
        try:
            left = entry.size
            while left:
                data = source.read(min(CHUNK, left))
                if not data:
                    raise BuildFailed(f"The archive ends in the middle of {show(name)}.")
                os.write(out, data) if len(data) < CHUNK else _write_all(out, data)
                left -= len(data)
        finally:
            os.close(out)

    def create(self, name: bytes, mode: int) -> int:
        self.folder(name.rpartition(b"/")[0])
        path = self.root + b"/" + name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(path, flags, mode)
        except FileExistsError:
            if name in self.folders:
                raise BuildFailed(f"The archive has {show(name)} both as a file and as a folder.") from None
        os.unlink(path)  # a later entry of the same name wins, as in tar itself
        return os.open(path, flags, mode)

    def hard_link(self, name: bytes, target: bytes) -> None:
        path = self.root + b"/" + target
        self.folder(name.rpartition(b"/")[0])
        try:
            if target.rpartition(b"/")[0] not in self.folders:
                raise FileNotFoundError  # not by way of a link
            os.link(path, self.root + b"/" + name, follow_symlinks=False)
        except OSError as fault:
            raise BuildFailed(f"The archive has a link to nothing in it: {show(name)}.") from fault

    def link(self, name: bytes, target: bytes) -> None:
        if b"\0" in target or len(target) > 3000 or not target:
            raise BuildFailed(f"The archive has a link that is not one: {show(name)}.")
        if not self.outer_links and (target.startswith(b"/") or _leaves(name, target)):
            raise BuildFailed(f"The archive has a link that leaves it: {show(name)} -> {show(target)}.")
        path = self.root + b"/" + name
        if name in self.folders:
            raise BuildFailed(f"The archive has {show(name)} both as a link and as a folder.")
        try:
            os.symlink(target, path)
        except FileExistsError:
            os.unlink(path)
            os.symlink(target, path)


def _leaves(name: bytes, target: bytes) -> bool:
    """Whether a link at `name` points out of the root, judged by its text.

    A link whose way goes through another link could still leave: each link on its own stays inside, and `..` may
    only climb folders that the text itself names, so `target` must not climb after it went down.
    """
    depth = name.count(b"/")
    went_down = False
    for part in target.split(b"/"):
        if part in (b"", b"."):
            continue
        if part == b"..":
            depth -= 1
            if went_down or depth < 0:
                return True
        else:
            went_down = True
            depth += 1
    return False


def _write_all(out: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(out, view) :]


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def show(name: str | bytes) -> str:
    """A file name as a person can read it, whatever its bytes are."""
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return "".join(c if c.isprintable() else "?" for c in raw.decode("utf-8", "replace"))


def _mb(count: int) -> str:
    return f"{count / 1024 / 1024:,.0f} MB" if count >= 1024 * 1024 else f"{count:,} bytes"
