"""Build output on its way to the log: cut into lines, bounded, and with config values masked as well as can be."""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, quote_plus

from core.errors import BuildFailed

LINE_BYTES = 10_000
MASK = b"********"
SHORTEST = 4
# Values that say nothing; masking them would only make the output unreadable.
PLAIN_WORDS = frozenset(
    ["true", "false", "none", "null", "auto", "production", "staging", "development", "test", "info", "debug"]
)


class Output:
    """Takes raw bytes, gives whole lines to `write`: masked, 10,000 bytes at most, without their newline.
    `BuildFailed` once more than `limit` bytes came."""

    def __init__(self, write: Callable[[bytes], None], config: Mapping[str, str], limit: int) -> None:
        self.write, self.limit = write, limit
        self.mask = masker(config.values())
        self.overlap = max((len(form) for value in config.values() for form in forms(value)), default=0)
        self.rest = b""
        self.seen = 0

    def feed(self, data: bytes) -> None:
        """More output came."""
        self.seen += len(data)
        if self.seen > self.limit:
            raise BuildFailed(f"Build output is over {self.limit // 1024 // 1024} MB.")
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        # A line without an end is cut as it comes, but never within what may be the start of a secret.
        if len(self.rest) > 4 * LINE_BYTES + self.overlap:
            whole = self.mask(self.rest)
            cut = max(len(whole) - self.overlap, 0) // LINE_BYTES * LINE_BYTES
            self._pieces(whole[:cut])
            self.rest = whole[cut:]

    def finish(self) -> None:
        """The output has ended; what has no newline is a line too."""
        if self.rest:
            self._line(self.rest)
            self.rest = b""

    def say(self, text: str) -> None:
        """A line of the platform's own."""
        self._line(text.encode("utf-8", "replace"))

    def _line(self, line: bytes) -> None:
        self._pieces(self.mask(line.rstrip(b"\r")))

    def _pieces(self, line: bytes) -> None:
        for start in range(0, max(len(line), 1), LINE_BYTES):
            self.write(line[start : start + LINE_BYTES])


def forms(value: str) -> set[bytes]:
    """The ways in which a value, or a line of it, may show up: plain, base64, URL-encoded."""
    found: set[bytes] = set()
    for part in {value, *value.splitlines()}:
        plain = part.strip().encode("utf-8", "surrogateescape")
        if len(plain) < SHORTEST or part.strip().lower() in PLAIN_WORDS:
            continue
        found |= {plain, quote(plain, safe="").encode(), quote_plus(plain).encode()}
        found |= {base64.b64encode(plain).rstrip(b"="), base64.urlsafe_b64encode(plain).rstrip(b"=")}
    return found


def masker(values: Iterable[str]) -> Callable[[bytes], bytes]:
    """A function that replaces every form of the values in a line. Best effort: an app can always find another form."""
    every = sorted({form for value in values for form in forms(value)}, key=len, reverse=True)
    if not every:
        return lambda line: line
    pattern = re.compile(b"|".join(re.escape(form) for form in every))
    return lambda line: pattern.sub(MASK, line)
