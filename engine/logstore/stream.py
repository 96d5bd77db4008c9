"""One stream: a folder of segments, who may write to it, and what becomes of old lines."""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Lock

from core import space
from engine.logstore import keep
from engine.logstore.flood import Meter
from engine.logstore.keep import Keep
from engine.logstore.records import encode, in_parts
from engine.logstore.segment import CHUNK, Segment
from engine.spec import Line

log = logging.getLogger(__name__)
_WRITABLE = 0o200


class Stream:
    """The lines of one stream. Safe for threads by a mutex, for processes by a lock on the folder."""

    def __init__(self, folder: Path, *, bytes_kept: int, lines_per_second: int) -> None:
        self.folder = folder
        self.bytes_kept = bytes_kept
        self.segment_bytes = min(4 * 1024**2, max(4096, bytes_kept // 16))
        self.mutex = Lock()
        self._meter = Meter(lines_per_second)
        self._segments: list[Segment] = []
        self._folder_fd: int | None = None
        self._fd: int | None = None
        self._to_sync: list[int] = []  # full segments that may not have reached the disk

    # --- writing ----------------------------------------------------------------------------------------------

    def append(self, lines: Sequence[Line]) -> tuple[int, int]:
        """Write `lines`; returns the number of the last one and how many had to be dropped."""
        with self.mutex:
            try:
                with self._alone():
                    return self._append(lines)
            except OSError as error:
                self._failed(error, len(lines))
                return self._segments[-1].last if self._segments else 0, len(lines)

    def _append(self, lines: Sequence[Line]) -> tuple[int, int]:
        segment = self._ready()
        kept, notice = self._meter.admit(lines, time.monotonic())
        records = encode([self._overflow(segment.last, notice), *kept] if notice else kept)
        start = segment.last
        try:
            for part in in_parts(records, CHUNK):
                segment = self._write(segment, part)
        except OSError as error:
            lost = len(records) - (segment.last - start)
            self._failed(error, lost + (notice if lost == len(records) else 0))
            return segment.last, len(lines) - len(kept) + lost
        return segment.last, len(lines) - len(kept)

    def _write(self, segment: Segment, records: list[bytes]) -> Segment:
        data = b"".join(records)
        if segment.size and segment.size + len(data) > self.segment_bytes:
            segment = self._next()
        assert self._fd is not None
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            os.ftruncate(self._fd, segment.size)
            raise
        segment.grow(len(records), len(data))
        return segment

    def _failed(self, error: OSError, count: int) -> None:
        """A full disk must not stop a dyno: count what is lost, and say so once there is room again."""
        if not space.note(f"log {self.folder.name}", error) and not self._meter.dropped:
            log.error("No line can be written to %s: %s", self.folder, error)
        self._meter.lose(count)

    def _overflow(self, after: int, dropped: int) -> Line:
        text = f"Error L10 (output buffer overflow): {dropped} messages dropped after line {after}."
        return Line("heroku", "logplex", text.encode(), time.time())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep every other process from writing to the stream."""
        while True:
            fd = self._open_folder()
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                break
            self._release()  # the stream was dropped and its folder is gone: make it anew
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)

    def _open_folder(self) -> int:
        if self._folder_fd is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._folder_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._folder_fd

    def _ready(self) -> Segment:
        """The segment to append to, with everything noticed that others wrote since."""
        if self._fd is not None:
            now, segment = os.fstat(self._fd), self._segments[-1]
            if now.st_size == segment.size and now.st_mode & _WRITABLE and now.st_nlink:
                return segment
        return self._open_last()

    def _open_last(self) -> Segment:
        first_time = self._fd is None
        self._look()
        if not self._segments or not self._segments[-1].is_current():
            return self._next()
        segment = self._segments[-1]
        self._retire()
        self._fd = os.open(segment.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        whole = segment.check() if first_time else segment.size
        if (
            whole < os.fstat(self._fd).st_size
        ):  # a writer was killed, or the power failed, in the middle of a line
            log.warning("Cut %s bytes off %s", os.fstat(self._fd).st_size - whole, segment.path)
            os.ftruncate(self._fd, whole)
            segment.refresh()
        return segment

    def _next(self) -> Segment:
        """Seal the current segment and begin another. Sealed first: whoever still has it open will look again."""
        first = 1
        if self._segments:
            full = self._segments[-1]
            full.path.chmod(0o440)
            first = full.last + 1
        self._retire()
        path = self.folder / f"{first:020d}.log"
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._segments.append(Segment(path))
        self._forget_oldest()
        return self._segments[-1]

    def _forget_oldest(self) -> bool:
        """Let go of what the stream has outgrown; whether that was anything."""
        more = Keep.of(self.folder)
        count = len(self._segments)
        kept = sum(segment.size for segment in self._segments) + self.segment_bytes
        while kept > self.bytes_kept and len(self._segments) > 1:
            oldest = self._segments[0]
            if more and more.spares(oldest, kept):
                break
            kept -= oldest.size
            oldest.path.unlink(missing_ok=True)
            self._segments.pop(0)
        return len(self._segments) < count

    def keep(self, more: Keep | None) -> None:
        """Keep `more` than usual from now on, or no more than usual; what is beyond goes at once."""
        if more is None and not self.folder.is_dir():
            return
        with self.mutex, self._alone():
            if more is None:
                keep.forget(self.folder)
            elif Keep.of(self.folder) != more:
                more.write(self.folder)
            self._look()
            if self._forget_oldest() and self._segments[-1].size:
                self._next()  # whoever has the last segment open sees that it is sealed, and looks again

    # --- durability -------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Have everything that was appended reach the disk. Appending goes on meanwhile."""
        with self.mutex:
            fds, self._to_sync = self._to_sync, []
            if self._fd is not None:
                fds.append(os.dup(self._fd))
            folder = os.dup(self._folder_fd) if self._folder_fd is not None else None
        for fd in fds:
            os.fdatasync(fd)
            os.close(fd)
        if folder is not None:
            os.fsync(folder)
            os.close(folder)

    def _retire(self) -> None:
        if self._fd is not None:
            self._to_sync.append(self._fd)
            self._fd = None

    def _release(self) -> None:
        for fd in (self._fd, self._folder_fd, *self._to_sync):
            if fd is not None:
                os.close(fd)
        self._fd = self._folder_fd = None
        self._to_sync, self._segments = [], []

    def close(self) -> None:
        """Sync, and let go of its files; it opens them again when it has to."""
        self.sync()
        with self.mutex:
            self._release()

    def drop(self) -> None:
        """Delete all of it."""
        with self.mutex:
            self._release()
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- reading ----------------------------------------------------------------------------------------------

    def segments(self) -> list[Segment]:
        """Its segments, oldest first, as of now."""
        with self.mutex:
            self._look()
            return list(self._segments)

    def _look(self) -> None:
        if not (self._segments and self._segments[-1].is_current()):
            self._list()
        while self._segments:
            try:
                self._segments[-1].refresh()
                return
            except FileNotFoundError:  # dropped, or outgrown by another process, a moment ago
                self._list()

    def _list(self) -> None:
        known = {segment.path: segment for segment in self._segments}
        paths = sorted(self.folder.glob("*.log")) if self.folder.is_dir() else []
        self._segments = [known.get(path) or Segment(path) for path in paths]
        for segment, after in pairwise(self._segments):
            try:
                segment.sealed_at(after.first - 1)
            except FileNotFoundError:  # outgrown a moment ago; its reader will see
                continue
