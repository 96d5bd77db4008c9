"""Reads YAML strictly: nothing that a slipway.yml does not need, and each problem with the line that it is in.

Values are taken as they are written, not as YAML guesses them: `09:00` is a time, not 540, and `on` is a word.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from core.errors import Refusal

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12
MAX_NODES = 10_000
MOST = 20  # problems that are told of
PREFIX = "tag:yaml.org,2002:"
PLAIN = frozenset(
    PREFIX + name for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")
)
YES, NO = ("true", "yes", "on"), ("false", "no", "off")


@dataclass(frozen=True)
class Problem:
    """What is wrong, and in which line (from 1)."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.text}"


class Unreadable(Refusal):
    """A file that says something else than it may; `problems` are all that were found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems), key=lambda one: (one.line, one.text))[:MOST]
        super().__init__("\n".join(map(str, self.problems)))


class Reader:
    """What is asked about nodes; it goes on after a problem, to tell of all of them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def wrong(self, node: Node, text: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(_line(node.start_mark), text))

    def end(self) -> None:
        """`Unreadable` when there were problems."""
        if self.problems:
            raise Unreadable(self.problems)

    def entries(self, node: Node, known: Iterable[str], what: str) -> dict[str, Node]:
        """The keys of a mapping that are `known`, with their nodes; others are problems."""
        what = what or "The file"
        if not isinstance(node, MappingNode):
            self.wrong(node, f"{what} has keys and values, one to a line: key: value.")
            return {}
        known, found = list(known), {}
        for key, value in node.value:
            name = self.text(key) or ""
            if name in found:
                self.wrong(key, f"{name} is there twice.")
            elif name in known:
                found[name] = value
            else:
                self.wrong(key, f"{what} has no {name[:40] or 'such key'}. {meant(name, known)}")
        return found

    def items(self, node: Node, what: str, most: int) -> list[Node]:
        """The entries of a list."""
        if not isinstance(node, SequenceNode):
            self.wrong(node, f"{what} is a list: one entry to a line, each after a dash.")
            return []
        if len(node.value) > most:
            self.wrong(node, f"{what} has {most} entries at most.")
        return list(node.value[:most])

    def text(self, node: Node) -> str | None:
        """A scalar as it is written; None for what is none."""
        return node.value if isinstance(node, ScalarNode) else None


def is_null(node: Node) -> bool:
    """Whether nothing stands there."""
    return isinstance(node, ScalarNode) and node.tag == PREFIX + "null"


def parse(text: str) -> Node:
    """The root of a file; `Unreadable` for what is too large, too deep, no YAML, or more than plain YAML."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Unreadable([Problem(1, f"The file has over {MAX_BYTES // 1024} kB.")])
    try:
        _check_events(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable([Problem(_line(mark), _said(error))]) from None
    except (yaml.YAMLError, UnicodeError, ValueError):
        raise Unreadable([Problem(1, "The file holds characters that YAML does not have.")]) from None
    if root is None:
        raise Unreadable([Problem(1, "The file says nothing.")])
    return root


def _check_events(text: str) -> None:
    """Look at it before anything is built of it."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if against := _against(event, depth, number):
            raise Unreadable([Problem(_line(event.start_mark), against)])


def _against(event: yaml.Event, depth: int, number: int) -> str:
    if depth > MAX_DEPTH:
        return f"It is nested over {MAX_DEPTH} deep."
    if number > MAX_NODES:
        return "It says too much."
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return "Write it out: what is named with & and taken up with * is not read."
    if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None) not in (None, "!", *PLAIN):
        return "Leave out what begins with an exclamation mark."
    if isinstance(event, yaml.DocumentStartEvent) and number > 2:
        return "A file holds one document: leave out the --- in between."
    return ""


def _line(mark: Any) -> int:
    """From 1."""
    return int(mark.line) + 1 if mark else 1


def _said(error: yaml.MarkedYAMLError) -> str:
    problem = (error.problem or "this is not YAML").strip()
    return f"This is not YAML: {problem[:120]}."


def meant(name: str, known: Iterable[str]) -> str:
    """What a person may have meant by a word that is none, or all that there are."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
