"""Keeps what nodes tell the platform beside their output out of that output."""

from collections.abc import Sequence

from ci.script import MARK
from engine.spec import Line, LineSink

PREFIX, ASIDE = "testnode/", "testreport/"


class Sieve:
    """A sink for the lines of dynos that passes all on to `sink`; of test nodes, lines with a mark go to a stream
    beside."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink

    def __call__(self, stream: str, lines: Sequence[Line]) -> None:
        if stream.startswith(PREFIX):
            aside = [line for line in lines if line.text.startswith(MARK)]
            if aside:
                self._sink(ASIDE + stream.removeprefix(PREFIX), aside)
                lines = [line for line in lines if not line.text.startswith(MARK)]
        if lines:
            self._sink(stream, lines)
