"""Writing slugs: tar archives that come out the same, byte for byte, for the same files.

A slug is a row of zstd frames that unpack to one tar archive. A buildpack that keeps a large folder between builds
(installed packages) can keep its finished frame too: a *layer*, which is copied into the next slug as it is.
"""

import json
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from core.errors import BuildFailed
from engine.builder.unpack import show

LEVEL = 3
THREADS = 2
MTIME = 1_704_067_200  # 2024-01-01: some tools dislike the year 1970, and zip cannot say it
END = bytes(1024)
# The last bytes of a slug: a zstd frame that decoders skip, telling how long the layers in front are.
INDEX_HEAD = (0x184D2A5E).to_bytes(4, "little") + (512).to_bytes(4, "little")
INDEX_BYTES = len(INDEX_HEAD) + 512


@dataclass(frozen=True)
class Layer:
    """A folder from elsewhere that appears in the slug at `name`, as a finished frame."""

    name: bytes  # where it appears: b".slipway/python"
    frame: Path
    unpacked: int  # bytes of its files


class _Writer(Protocol):
    def write(self, data: bytes, /) -> int: ...


def pack(root: Path, into: Path, *, max_bytes: int, layers: Sequence[Layer] = ()) -> int:
    """Write the slug of the folder `root` to `into`; returns the bytes of its files. `BuildFailed` past `max_bytes`."""
    total = sum(layer.unpacked for layer in layers)
    with into.open("wb") as out:
        lengths = []
        for layer in sorted(layers, key=lambda layer: layer.name):
            start = out.tell()
            with layer.frame.open("rb") as frame:
                shutil.copyfileobj(frame, out, 1024 * 1024)
            lengths.append(out.tell() - start)
        with _frame(out) as writer:
            skip = frozenset(layer.name for layer in layers)
            total += _write_tree(os.fsencode(root), b"", writer, max_bytes - total, skip)
            writer.write(END)
        out.write(INDEX_HEAD + json.dumps(lengths).encode().ljust(512))
    return total


def layer_lengths(slug: BinaryIO) -> list[int]:
    """How long the layers at the start of a slug are, as it says itself: believe it no more than the slug."""
    size = slug.seek(0, os.SEEK_END)
    slug.seek(max(size - INDEX_BYTES, 0))
    index = slug.read(INDEX_BYTES)
    slug.seek(0)
    if not index.startswith(INDEX_HEAD):
        return []
    try:
        lengths = json.loads(index[len(INDEX_HEAD) :])
    except ValueError:
        return []
    plain = isinstance(lengths, list) and all(type(length) is int and length > 0 for length in lengths)
    return lengths if plain and sum(lengths) < size else []


def make_layer(root: Path, name: bytes, into: Path, *, max_bytes: int) -> Layer:
    """Write the frame of the folder `root`, to appear at `name`, to the file `into`."""
    with into.open("wb") as out, _frame(out) as writer:
        writer.write(_header(name + b"/", 0o755, tarfile.DIRTYPE))
        return Layer(name, into, _write_tree(os.fsencode(root), name, writer, max_bytes, frozenset()))


@contextmanager
def _frame(out: BinaryIO) -> Iterator[_Writer]:
    compressor = zstandard.ZstdCompressor(level=LEVEL, threads=THREADS, write_checksum=True)
    with compressor.stream_writer(out, closefd=False) as writer:
        yield writer


def _write_tree(root: bytes, prefix: bytes, out: _Writer, max_bytes: int, skip: frozenset[bytes]) -> int:
    """Write the folder's entries, sorted by name, all of one owner and time; returns the bytes of its files."""
    total = 0
    pending = [(prefix, root)]
    while pending:
        name, path = pending.pop()
        with os.scandir(path) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        folders = []
        for entry in entries:
            full = name + b"/" + entry.name if name else entry.name
            if full in skip:
                continue
            if entry.is_dir(follow_symlinks=False):
                out.write(_header(full + b"/", 0o755, tarfile.DIRTYPE))
                folders.append((full, entry.path))
            elif entry.is_symlink():
                out.write(_header(full, 0o777, tarfile.SYMTYPE, link=os.readlink(entry.path)))
            elif entry.is_file():
                total += _write_file(full, entry.path, out)
                if total > max_bytes:
                    raise BuildFailed("The slug's files are over the limit, unpacked.")
        pending.extend(reversed(folders))
    return total


def _write_file(name: bytes, path: bytes, out: _Writer) -> int:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        about = os.fstat(file)
        mode = 0o755 if about.st_mode & stat.S_IXUSR else 0o644
        out.write(_header(name, mode, tarfile.REGTYPE, size=about.st_size))
        left = about.st_size
        while left:
            data = os.read(file, min(left, 1024 * 1024))
            if not data:
                raise BuildFailed(f"{show(name)} changed while the slug was written.")
            out.write(data)
            left -= len(data)
        out.write(bytes(-about.st_size % 512))
        return about.st_size
    finally:
        os.close(file)


def _header(name: bytes, mode: int, kind: bytes, *, size: int = 0, link: bytes = b"") -> bytes:
    entry = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
    entry.mode, entry.type, entry.size, entry.mtime = mode, kind, size, MTIME
    entry.linkname = link.decode("utf-8", "surrogateescape")
    return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
