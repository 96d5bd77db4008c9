"""Small charts that the server draws as SVG paths."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

WIDTH, HEIGHT = 200, 40
HEADROOM = 0.9  # of the height, for the highest value
NAME = {"sm": 11.0, "md": 7.0}  # percent of the height that the name of a line takes, in charts of each size


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


@dataclass(frozen=True)
class Line:
    """One line of a chart, in a view box of 1,000 by 100 that is stretched. `end` is where its name goes, percent from
    above."""

    css: str
    path: str
    name: str = ""
    end: float = 0.0


@dataclass(frozen=True)
class Hint:
    """What a pointer over one point reads. `x` and `width` are percent."""

    x: float
    width: float
    words: str


@dataclass(frozen=True)
class Chart:
    """A chart with its scale. `words` says in a sentence what the eye would see."""

    words: str
    scale: Sequence[tuple[int, str]]  # percent from above, what stands there
    lines: Sequence[Line]
    fills: Sequence[Line]
    hints: Sequence[Hint]
    size: str = "sm"
    limit: float | None = None  # percent from above


def ceiling(highest: float, least: float) -> float:
    """Where a scale ends that is easy to halve: 1, 2, 5, 10, 20 … times `least`, not under `highest`."""
    top, steps = least, (2.0, 2.5, 2.0)
    place = 0
    while top < highest:
        top *= steps[place % 3]
        place += 1
    return top


def line(values: Sequence[float | None], top: float, css: str, name: str = "") -> Line:
    """`values`, oldest first, from zero to `top`; where there is None the line is interrupted."""
    path = "".join(_stroke(run, top) for run in _runs(values))
    last = next((value for value in reversed(values) if value is not None), 0.0)
    return Line(css, path, name, round(100 - last / top * 100, 1))


def fill(values: Sequence[float | None], top: float, css: str) -> Line:
    """The area under that line."""
    parts = []
    for run in _runs(values):
        parts.append(f"{_stroke(run, top)}L{run[-1][0]:.1f} 100L{run[0][0]:.1f} 100Z")
    return Line(css, "".join(parts))


def apart(lines: Sequence[Line], size: str = "sm") -> list[Line]:
    """The same lines, with the places of their names so far from each other that all can be read: in the order of the
    lines from above, pushed up from the lowest."""
    placed, below = [], 100.0 + NAME[size]
    for one in sorted(lines, key=lambda one: -one.end):
        below = min(one.end, below - NAME[size])
        placed.append(replace(one, end=round(below, 1)))
    return [next(one for one in placed if one.name == line.name) for line in lines]


def hints(words: Sequence[str]) -> list[Hint]:
    """One for each point."""
    width = 100 / len(words)
    return [Hint(round(place * width, 2), round(width, 2), said) for place, said in enumerate(words)]


def _runs(values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """The points that follow each other without a gap, with their place from 0 to 1,000."""
    step = 1000 / max(len(values) - 1, 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(values):
        if value is not None:
            runs[-1].append((place * step, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _stroke(run: Sequence[tuple[float, float]], top: float) -> str:
    points = [f"{x:.1f} {100 - value / top * 100:.1f}" for x, value in run]
    if len(points) == 1:  # alone it would not be seen
        x, value = run[0]
        points.append(f"{x + 2:.1f} {100 - value / top * 100:.1f}")
    return "M" + "L".join(points)
