"""How much one stream may take in."""

from collections.abc import Sequence

from engine.spec import Line

_UNIT = 512  # bytes of text that count as one line


class Meter:
    """Lets `per_second` lines pass a second, with bursts of as many; 0 is no bound. Long lines count as several.

    What it turns away it counts, so that one line can say so later (promise I-23).
    """

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self.dropped = 0
        self._left = float(per_second)
        self._at: float | None = None

    def admit(self, lines: Sequence[Line], now: float) -> tuple[Sequence[Line], int]:
        """The lines that may pass at `now` (seconds), and how many were dropped before them, when that is over."""
        if not self.per_second:
            return lines, self._forgive()
        passed = now - self._at if self._at is not None else 0.0
        self._at = now
        self._left = min(self.per_second, self._left + passed * self.per_second)
        kept = len(lines)
        cost = kept + sum(len(line.text) // _UNIT for line in lines)
        if cost > self._left:
            kept = self._how_many(lines)
            cost = int(self._left)
        notice = self._forgive() if kept else 0
        self._left -= cost
        self.dropped += len(lines) - kept
        return (lines if kept == len(lines) else lines[:kept]), notice

    def lose(self, count: int) -> None:
        """Count lines that passed but could not be kept."""
        self.dropped += count

    def _how_many(self, lines: Sequence[Line]) -> int:
        left = self._left
        for i, line in enumerate(lines):
            left -= 1 + len(line.text) // _UNIT
            if left < 0:
                return i
        return len(lines)

    def _forgive(self) -> int:
        dropped, self.dropped = self.dropped, 0
        return dropped
