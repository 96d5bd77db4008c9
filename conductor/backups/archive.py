"""The file of a backup: a tar, compressed with zstd, that can be written to and read from a pipe.

Its first member says what it is, its last one lists the digest of every other: a file that was cut short has no list,
and one that was altered does not match it. A member may come twice; the later one counts.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import zstandard

from core.errors import Refusal

HEAD, LIST = "backup.json", "manifest.json"
PIECE = 256 * 1024
SMALL = 64 * 1024**2  # of the two members that are read into memory


class Damaged(Refusal):
    """What is no backup, or not a whole one."""

    id = "damaged_backup"


class Writer:
    """Takes members one after the other, and knows the digest of each."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.digests: dict[str, str] = {}
        self.bytes = 0  # of the members, before they are compressed

    def add(self, name: str, path: Path) -> None:
        """A file, as long as it is when this is called: it may grow meanwhile. `FileNotFoundError` when it is gone."""
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            self._put(name, found.st_size, file, found.st_mode & 0o777)

    def add_text(self, name: str, text: str) -> None:
        """A text."""
        self._put(name, len(text.encode()), io.BytesIO(text.encode()))

    def add_bytes(self, name: str, data: bytes) -> None:
        """What is in memory."""
        self._put(name, len(data), io.BytesIO(data))

    def _put(self, name: str, size: int, file: IO[bytes], mode: int = 0o600) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, mode
        summed = _Summed(file)
        self._tar.addfile(member, cast(IO[bytes], summed))
        self.digests[name] = summed.sum.hexdigest()
        self.bytes += size


class _Summed:
    """A file whose bytes are summed up while they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sum = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sum.update(data)
        return data


@contextmanager
def writing(to: BinaryIO) -> Iterator[Writer]:
    """Write a backup to `to`, which need not be seekable; the list of digests is added when all went well."""
    packer = zstandard.ZstdCompressor(level=3, write_checksum=True)
    with packer.stream_writer(to, closefd=False) as packed:
        with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            writer = Writer(tar)
            yield writer
            writer.add_text(LIST, json.dumps({"digests": dict(writer.digests)}))


def unpack(source: BinaryIO, folder: Path | None) -> tuple[dict[str, Any], dict[str, int]]:
    """Read a whole backup and check every digest; with a `folder`, write its members there.

    Returns what its first member says, and the size of each member. `Damaged` when it is no backup or not a whole one.
    """
    found: dict[str, str] = {}
    sizes: dict[str, int] = {}
    head: dict[str, Any] | None = None
    wanted: dict[str, str] | None = None
    try:
        with zstandard.ZstdDecompressor().stream_reader(source, closefd=False) as plain:
            with tarfile.open(fileobj=cast(BinaryIO, plain), mode="r|") as tar:
                for member in tar:
                    if not _harmless(member):
                        raise Damaged("This is not a backup of Slipway: it has members that no backup has.")
                    if member.name in (HEAD, LIST):
                        data, found[member.name] = _json(tar, member)
                        head, wanted = (data, wanted) if member.name == HEAD else (head, data["digests"])
                        continue
                    if head is None:
                        raise Damaged("This is not a backup of Slipway.")
                    found[member.name] = _member(tar, member, folder)
                    sizes[member.name] = member.size
    except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"This is not a backup of Slipway, or not a whole one: {error}") from error
    if head is None or wanted is None:
        raise Damaged("This is not a whole backup: its end is missing. Make another, or take an earlier one.")
    _compare(wanted, found)
    return head, sizes


def _harmless(member: tarfile.TarInfo) -> bool:
    parts = member.name.split("/")
    return member.isreg() and not {"", ".", ".."} & set(parts) and not Path(member.name).is_absolute()


def _json(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[dict[str, Any], str]:
    if member.size > SMALL:
        raise Damaged("This is not a backup of Slipway.")
    file = tar.extractfile(member)
    assert file is not None
    text = file.read()
    return json.loads(text), hashlib.sha256(text).hexdigest()


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path | None) -> str:
    """Read one member, into `folder` when there is one; returns its digest."""
    source = tar.extractfile(member)
    assert source is not None
    total = hashlib.sha256()
    if folder is None:
        while piece := source.read(PIECE):
            total.update(piece)
        return total.hexdigest()
    place = folder / member.name
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
        while piece := source.read(PIECE):
            total.update(piece)
            target.write(piece)
    place.chmod(member.mode & 0o777)  # what may be run, and which parts of a log are complete
    return total.hexdigest()


def _compare(wanted: dict[str, str], found: dict[str, str]) -> None:
    for name, digest in wanted.items():
        if name not in found:
            raise Damaged(f"This backup is damaged: {name} is missing. Take an earlier one.")
        if found[name] != digest:
            raise Damaged(f"This backup is damaged: {name} is not what it was. Take an earlier one.")
    if extra := set(found) - set(wanted) - {LIST}:
        raise Damaged(f"This backup was altered: it has {sorted(extra)[0]}, which its list does not know.")
