"""Keeps out of the output of nodes what they tell the platform beside it, and what the platform runs around tests."""

from collections.abc import Sequence

from ci.script import MARK
from engine.spec import Line, LineSink

PREFIX, ASIDE = "testnode/", "testreport/"
BEGIN = b"Starting process with command "


class Sieve:
    """A sink for the lines of dynos that passes all on to `sink`; of test nodes, lines with a mark go to a stream
    beside, and the script that they all begin with is not told of: it says itself which command it runs."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink

    def __call__(self, stream: str, lines: Sequence[Line]) -> None:
        if stream.startswith(PREFIX):
            aside = [line for line in lines if line.text.startswith(MARK)]
            if aside:
                self._sink(ASIDE + stream.removeprefix(PREFIX), aside)
            lines = [line for line in lines if not line.text.startswith(MARK) and not _begins(line)]
        if lines:
            self._sink(stream, lines)


def _begins(line: Line) -> bool:
    return line.source == "heroku" and line.text.startswith(BEGIN)
