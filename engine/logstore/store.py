"""The log store: all streams below one folder."""

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event, Lock, Thread

from engine.logstore.histogram import Histogram, count
from engine.logstore.keep import Held, Keep, held
from engine.logstore.records import Entry, entries, gone, texts
from engine.logstore.search import Found, Query, newest
from engine.logstore.stream import Stream
from engine.spec import Line

log = logging.getLogger(__name__)
Listener = Callable[[str, int], None]
_NAME = re.compile(r"[a-z]+/[0-9A-Za-z-]{1,64}")
_OPEN_STREAMS = 256


class LogStore:
    """Takes in lines and gives them back by number.

    `append` returns when its lines are written: from then on they survive the death of every process. They are on the
    disk, and survive a power cut too, at most `sync` seconds (and one fdatasync) later, or when `flush` returns.

    `reach` is called with the name of a fail point; `lines_per_second` is the flood bound of each stream (0: none).
    """

    def __init__(
        self,
        root: Path,
        *,
        bytes_per_stream: int = 64 * 1024**2,
        lines_per_second: int = 200_000,
        sync: float = 0.05,
        reach: Callable[[str], None] | None = None,
    ) -> None:
        self.root = root
        self.lines = 0  # that came in, to all streams, since this store was made
        self.dropped = 0  # of those
        self._bytes_per_stream = bytes_per_stream
        self._lines_per_second = lines_per_second
        self._reach = reach
        self._listeners: list[Listener] = []
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._lock = Lock()
        self._syncer = _Syncer(sync)

    # --- writing ----------------------------------------------------------------------------------------------

    def append(self, stream: str, lines: Sequence[Line]) -> int:
        """Write `lines` to the end of `stream`; returns the number of the last one."""
        if not lines:
            return self.last(stream)
        found = self._stream(stream)
        last, dropped = found.append(lines)
        self.lines += len(lines)
        self.dropped += dropped
        self._syncer.note(found)
        if self._reach is not None:
            self._reach("log.batch_written")
        self._call(stream, last)
        return last

    def __call__(self, stream: str, lines: Sequence[Line]) -> None:
        self.append(stream, lines)

    def end(self, stream: str) -> None:
        """Say that `stream` is complete; its lines are on the disk when this returns."""
        found = self._stream(stream)
        found.folder.mkdir(parents=True, exist_ok=True)
        (found.folder / "ended").touch()
        found.close()
        self._call(stream, self.last(stream))

    def drop(self, stream: str) -> None:
        """Delete `stream`."""
        self._stream(stream).drop()

    def keep(self, stream: str, more: Keep | None) -> None:
        """Keep `more` of `stream` than of others, or, with None, as much as of others; what is beyond goes at once.

        It holds for every process, until it is said otherwise or the stream is dropped. `OSError` when it can't be
        written down."""
        self._stream(stream).keep(more)

    def flush(self) -> None:
        """Have everything that this process appended reach the disk."""
        self._syncer.sync()

    def close(self) -> None:
        """Flush and let go of all files."""
        self._syncer.stop()
        with self._lock:
            streams, self._streams = self._streams, OrderedDict()
        for stream in streams.values():
            stream.close()

    def on_append(self, listener: Listener) -> Callable[[], None]:
        """Have `listener(stream, last)` called after each append of this process; returns what ends that.

        It runs in the appending thread and must be quick."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # --- reading ----------------------------------------------------------------------------------------------

    def ended(self, stream: str) -> bool:
        """Whether `stream` is complete."""
        return (self._folder(stream) / "ended").exists()

    def last(self, stream: str) -> int:
        """The number of its last line, 0 when there is none."""
        segments = self._stream(stream).segments()
        return segments[-1].last if segments else 0

    def first(self, stream: str) -> int:
        """The number of the oldest line that is still there."""
        segments = self._stream(stream).segments()
        return segments[0].first if segments else 1

    def held(self, stream: str) -> Held:
        """How much of `stream` there is, and since when."""
        return held(self._stream(stream).segments())

    def read(self, stream: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Up to `limit` entries with numbers above `after`. When older lines than asked for are gone, the first
        entry is a line of the platform's that says how many (promise I-23)."""
        found: list[Entry] = []
        for first, records in self.blocks(stream, after=after):
            found += entries(first, records[: limit - len(found)])
            if len(found) >= limit:
                break
        return found

    def blocks(self, stream: str, *, after: int = 0) -> Iterator[tuple[int, list[bytes]]]:
        """What `read` gives, undecoded: lists of records, and the number of the first of each."""
        at = after + 1
        for segment in self._stream(stream).segments():
            if segment.last < at:
                continue
            if at < segment.first:
                yield segment.first - 1, [gone(at, segment.first - 1)]
                at = segment.first
            try:
                for records in segment.read(at):
                    yield at, records
                    at += len(records)
            except FileNotFoundError:  # outgrown a moment ago: the next segment's turn will say so
                continue

    def tail(self, stream: str, n: int, *, source: str | None = None, dyno: str | None = None) -> list[Entry]:
        """The last `n` entries, of one source, and of one dyno or process type, when these are given."""
        if not source and not dyno:
            return self.read(stream, after=max(self.last(stream) - n, self.first(stream) - 1), limit=n)
        return self.search(stream, source=source or "", dyno=dyno or "", limit=n)

    def search(
        self,
        stream: str,
        *,
        text: str = "",
        level: str = "",
        source: str = "",
        dyno: str = "",
        before: int | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """The last `limit` entries with numbers below `before` that match all that is given, oldest first.

        `text` is words as `Query` takes them; `level` is `error` or `warning`."""
        query = Query(text.encode(), level, source.encode(), dyno.encode())
        return self.find(stream, query, before=before, limit=limit).entries

    def find(
        self,
        stream: str,
        query: Query,
        *,
        before: int | None = None,
        limit: int = 100,
        seconds: float | None = None,
    ) -> Found:
        """The same for a `Query`, bounded in time: it looks back from the end, or from `before`, for `seconds` at most,
        and says how far it came."""
        return newest(self._stream(stream).segments(), query, before=before, limit=limit, seconds=seconds)

    def histogram(self, stream: str, *, until: float, buckets: int = 60, budget: float = 0.25) -> Histogram:
        """How many lines came in each of the last `buckets` half minutes before the time `until`. Nothing is counted
        twice; after `budget` seconds the rest is left to the next time."""
        return count(self._stream(stream).segments(), until=until, buckets=buckets, budget=budget)

    def raw(self, stream: str, start: int = 0) -> Iterator[bytes]:
        """The texts of all lines, each with a newline after it, from byte `start` of that on."""
        for _, records in self.blocks(stream):
            data = texts(records)
            if start < len(data):
                yield data[start:] if start else data
            start = max(0, start - len(data))

    # --- inside -----------------------------------------------------------------------------------------------

    def _folder(self, stream: str) -> Path:
        if not _NAME.fullmatch(stream):
            raise ValueError(f"{stream!r} is not the name of a stream")
        return self.root / stream

    def _stream(self, name: str) -> Stream:
        with self._lock:
            found = self._streams.get(name)
            if found is not None:
                self._streams.move_to_end(name)
                return found
            found = self._streams[name] = Stream(
                self._folder(name),
                bytes_kept=self._bytes_per_stream,
                lines_per_second=self._lines_per_second,
            )
            idle = self._streams.popitem(last=False)[1] if len(self._streams) > _OPEN_STREAMS else None
        if idle is not None:
            idle.close()
        return found

    def _call(self, stream: str, last: int) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(stream, last)
            except Exception:
                log.exception("A listener failed on %s", stream)


class _Syncer:
    """A thread that has what was appended reach the disk, soon after the first append and then all at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._dirty: set[Stream] = set()
        self._lock = Lock()
        self._wake, self._stopped = Event(), Event()
        self._thread: Thread | None = None

    def note(self, stream: Stream) -> None:
        """`stream` has lines that may not be on the disk."""
        with self._lock:
            self._dirty.add(stream)
            if self._thread is None and not self._stopped.is_set():
                self._thread = Thread(target=self._run, name="log-sync", daemon=True)
                self._thread.start()
        self._wake.set()

    def sync(self) -> None:
        """Sync all that was noted until now."""
        with self._lock:
            dirty, self._dirty = self._dirty, set()
        for stream in dirty:
            try:
                stream.sync()
            except OSError:
                log.exception("Log lines of %s may not have reached the disk", stream.folder)

    def stop(self) -> None:
        """Sync, and end the thread."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.sync()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait()
            self._wake.clear()
            self._stopped.wait(self._seconds)
            self.sync()
