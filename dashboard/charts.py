"""Small charts that the server draws as SVG paths."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 200, 40
HEADROOM = 0.9  # of the height, for the highest value


@dataclass(frozen=True)
class Spark:
    """The two paths of a sparkline, in a view box of 200 by 40."""

    line: str
    fill: str


def spark(values: Sequence[float]) -> Spark | None:
    """A sparkline of `values`, oldest first, from zero up; None when there are too few for a line."""
    if len(values) < 3:
        return None
    top = max(values) or 1
    step = WIDTH / (len(values) - 1)
    points = [
        f"{at * step:.1f} {HEIGHT - value / top * HEIGHT * HEADROOM:.1f}" for at, value in enumerate(values)
    ]
    line = "M" + "L".join(points)
    return Spark(line, f"{line}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z")
