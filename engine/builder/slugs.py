"""The slug store: built code, addressed by the digest of its bytes and checked before it is used."""

import fcntl
import hashlib
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from core.errors import BuildFailed, EngineError
from engine.builder.layers import Layers, Part, link_tree
from engine.builder.pack import layer_lengths
from engine.builder.unpack import unpack

DAMAGED = "Error R17 (Checksum error) -> Checksum does not match expected value. The slug is damaged."
MAX_BYTES = 64 * 1024**3  # what a build may make is decided when it is built
MAX_FILES = 5_000_000
MARKER = ".complete"


class SlugStore:
    """Archives below `root/archives`, unpacked ones below `root/trees` (and what they share below `root/layers`). Safe
    for threads and processes."""

    def __init__(self, root: Path) -> None:
        self.archives, self.trees = root / "archives", root / "trees"
        for folder in (self.archives, self.trees):
            folder.mkdir(parents=True, exist_ok=True)
            # Names of slugs cannot be listed, but a dyno of any user can reach the one it is told.
            folder.chmod(0o711)
        self.layers = Layers(root / "layers", is_whole=_is_whole, seal=_seal)
        self._checked: set[str] = set()
        self._lock = threading.Lock()

    def put(self, tar_path: Path) -> str:
        """Take the archive at `tar_path` in; returns its digest. The file may be moved away from where it was.
        On return it is on disk for good."""
        digest = "sha256:" + _sha256(tar_path)
        target = self.path(digest)
        if target.exists() and _sha256(target) == _hex(digest):
            return digest
        self._move_in(tar_path, target)
        return digest

    def path(self, digest: str) -> Path:
        """Where the archive is, or would be."""
        return self.archives / f"{_hex(digest)}.tar.zst"

    def has(self, digest: str) -> bool:
        """Whether the archive is in the store; says nothing of its health."""
        return self.path(digest).is_file()

    def tree(self, digest: str) -> Path:
        """The slug's files, unpacked: a cache that all dynos share and none may write to. Checked against the digest
        before its first use in this process, and unpacked when it is not there yet. `EngineError` (permanent, R17)
        when the archive is gone or damaged."""
        tree = self.trees / _hex(digest)
        with self._lock:
            if digest in self._checked and _is_whole(tree):
                os.utime(tree)
                return tree / "app"
        with self._alone(digest):
            self._check(digest)
            if not _is_whole(tree):
                self._unpack(digest, tree)
            os.utime(tree)
        with self._lock:
            self._checked.add(digest)
        return tree / "app"

    def drop(self, digest: str) -> None:
        """Forget a slug: archive and files."""
        with self._alone(digest):
            self.path(digest).unlink(missing_ok=True)
            self._drop_tree(digest)

    def trim(self, keep: int, *, used: Iterable[str] = ()) -> int:
        """Remove unpacked trees beyond the `keep` used last, never those in `used` (digests); returns how many went."""
        spared = {_hex(digest) for digest in used}
        trees = [path for path in self.trees.iterdir() if re.fullmatch(r"[0-9a-f]{64}", path.name)]
        trees.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        gone = [path for path in trees[keep:] if path.name not in spared]
        for path in gone:
            with self._alone(f"sha256:{path.name}"):
                self._drop_tree(f"sha256:{path.name}")
        self.layers.trim(keep)
        return len(gone)

    def _move_in(self, source: Path, target: Path) -> None:
        temporary = self.archives / f".{uuid.uuid4().hex}"
        try:
            try:
                source.rename(temporary)
            except OSError:
                shutil.copyfile(source, temporary)
            os.chown(temporary, os.geteuid(), os.getegid())
            temporary.chmod(0o444)
            _fsync(temporary)
            temporary.rename(target)
            _fsync(self.archives)
        finally:
            temporary.unlink(missing_ok=True)

    def _check(self, digest: str) -> None:
        try:
            found = _sha256(self.path(digest))
        except FileNotFoundError:
            raise EngineError(f"{DAMAGED} It is not in the store.", permanent=True) from None
        if found != _hex(digest):
            self._drop_tree(digest)
            raise EngineError(DAMAGED, permanent=True)

    def _unpack(self, digest: str, tree: Path) -> None:
        temporary = self.trees / f".{uuid.uuid4().hex}"
        try:
            (temporary / "app").mkdir(parents=True)
            with self.path(digest).open("rb") as archive:
                self._fill(archive, temporary / "app")
            _seal(temporary)
            self._drop_tree(digest)
            temporary.rename(tree)
        except BuildFailed as fault:
            raise EngineError(f"{DAMAGED} {fault}", permanent=True) from fault
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _fill(self, archive: BinaryIO, app: Path) -> None:
        """Link the slug's layers, which most slugs of an app share, and unpack the rest."""
        folders: set[bytes] = set()
        start = 0
        for length in layer_lengths(archive):
            part = Part(archive, start, length)
            link_tree(self.layers.files(part, max_bytes=MAX_BYTES, max_files=MAX_FILES), app, folders)
            start += length
        rest: BinaryIO = Part(archive, start, 2**62)  # type: ignore[assignment]
        unpack(rest, app, max_bytes=MAX_BYTES, max_files=MAX_FILES, outer_links=True, folders=folders)

    def _drop_tree(self, digest: str) -> None:
        with self._lock:
            self._checked.discard(digest)
        tree = self.trees / _hex(digest)
        if tree.exists():
            doomed = self.trees / f".{uuid.uuid4().hex}"
            tree.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def _alone(self, digest: str) -> "_FileLock":
        return _FileLock(self.trees / f".lock-{_hex(digest)[:2]}")


class _FileLock:
    """One at a time, among threads and processes alike. 256 files serve all digests."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self.file)


def _boot_id() -> bytes:
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    return boot_id.read_bytes() if boot_id.exists() else b"unknown"


def _seal(folder: Path) -> None:
    (folder / MARKER).write_bytes(_boot_id())


def _is_whole(tree: Path) -> bool:
    """Trees are not fsynced, so one from before the machine's last start may have empty files: it counts as gone."""
    try:
        return (tree / MARKER).read_bytes() == _boot_id()
    except FileNotFoundError:
        return False


def _hex(digest: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ValueError(f"{digest[:80]!r} is not a digest")
    return digest[7:]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
