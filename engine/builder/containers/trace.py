"""BuildKit's progress, which the engine passes on as protobuf messages: as much of them as makes lines to read.

The messages are `moby.buildkit.v1.StatusResponse`: vertexes (steps), statuses, and logs of steps.
"""

from collections.abc import Callable, Iterator
from typing import Any

VERTEX, LOG = 1, 3
DIGEST, NAME, CACHED, STARTED, ERROR = 1, 3, 4, 5, 7  # fields of a vertex
LOG_VERTEX, LOG_TEXT = 1, 4


class Trace:
    """Follows one build. `say` gets lines of ours, `feed` the bytes that steps have written."""

    def __init__(self, say: Callable[[str], None], feed: Callable[[bytes], None]) -> None:
        self._say, self._feed = say, feed
        self._shown: set[tuple[bytes, str]] = set()
        self.error = ""

    def take(self, message: bytes) -> None:
        """One message came. `ValueError` when it is none."""
        for number, value in fields(message):
            if number == VERTEX and isinstance(value, bytes):
                self._vertex(dict(fields(value)))
            elif number == LOG and isinstance(value, bytes):
                text = dict(fields(value)).get(LOG_TEXT)
                if isinstance(text, bytes):
                    self._feed(text)

    def _vertex(self, vertex: dict[int, Any]) -> None:
        digest, name = vertex.get(DIGEST, b""), vertex.get(NAME, b"").decode("utf-8", "replace")
        if name.startswith("[internal]") or name == "copy /context /":
            return
        if STARTED in vertex or vertex.get(CACHED):
            self._once(digest, f"-----> {name}")
        if vertex.get(CACHED):
            self._once(digest, "       Unchanged: taken from the cache")
        if error := vertex.get(ERROR):
            self.error = error.decode("utf-8", "replace")

    def _once(self, digest: bytes, line: str) -> None:
        if (digest, line) not in self._shown:
            self._shown.add((digest, line))
            self._say(line)


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message, by number. `ValueError` when it is damaged."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if at + size > len(message):
            raise ValueError("a field that ends too early")
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("a number that does not end")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
