"""What tests report, as cases: read from TAP in the output, and from the XML that JUnit made usual."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from core.text import storable

MOST = 5000  # cases of a node
MOST_TEXT, MOST_DIAGNOSTIC = 500, 10_000
MOST_DEPTH, LONGEST_LINE = 20, 2000

_RESULT = re.compile(r"(not )?ok\b(?:\s+(\d{1,9}))?(?:\s+-)?\s*([^#]*?)\s*(?:#\s*(.*))?$")
_PLAN = re.compile(r"1\.\.(\d{1,9})\b")
_DIRECTIVE = re.compile(r"(skip|todo)\S*\s*(.*)", re.IGNORECASE)


@dataclass
class Case:
    """One test: `directive` is "skip" or "todo", and why."""

    description: str
    passed: bool
    directive: str = ""
    diagnostic: str = ""
    seconds: float | None = None

    @property
    def skipped(self) -> bool:
        """Whether it did not really run."""
        return self.directive.startswith("skip")

    def bounded(self) -> "Case":
        """The same, no longer than a row takes it."""
        return Case(
            _clean(self.description)[:MOST_TEXT] or "(no name)",
            self.passed,
            _clean(self.directive)[:200],
            storable(self.diagnostic)[:MOST_DIAGNOSTIC],
            self.seconds,
        )


def _clean(text: str) -> str:
    return " ".join(storable(text).split())


# --- TAP ------------------------------------------------------------------------------------------------------------------
# https://testanything.org/tap-version-13-specification.html


def read_tap(lines: Iterable[str]) -> list[Case]:
    """The cases of TAP among other output: none unless there is a plan or a version line, since anybody may print "ok".
    Todo tests pass whatever comes out."""
    cases: list[Case] = []
    is_tap = inside = False
    for line in (line[:LONGEST_LINE] for line in lines):
        bare = line.strip()
        if line.startswith("TAP version ") or _PLAN.match(line):
            is_tap = True
        elif inside or (bare == "---" and line[:1] == " " and cases):  # YAML after a result
            inside = bare != "..."
            _append(cases[-1], line if inside and bare != "---" else "")
        elif line.startswith("#") and cases:
            _append(cases[-1], line[1:].removeprefix(" "))
        elif (found := _RESULT.match(line)) and len(cases) < MOST:
            cases.append(_result(found, len(cases) + 1))
        elif line.startswith("Bail out!"):
            cases.append(Case("Bail out!", False, diagnostic=line.removeprefix("Bail out!").strip()))
    return [case.bounded() for case in cases] if is_tap else []


def _result(found: re.Match[str], number: int) -> Case:
    directive = _DIRECTIVE.match(found[4] or "")
    kind = directive[1].lower() if directive else ""
    told = " ".join(part for part in (kind, directive[2].strip() if directive else "") if part)
    description = found[3] if directive or not found[4] else f"{found[3]} # {found[4]}"
    return Case(description or f"test {found[2] or number}", not found[1] or kind == "todo", told)


def _append(case: Case, line: str) -> None:
    if line and len(case.diagnostic) < MOST_DIAGNOSTIC:
        case.diagnostic += f"{line}\n"


# --- JUnit ----------------------------------------------------------------------------------------------------------------


class _Stop(Exception):
    """Enough read, or something that no report has."""


@dataclass
class _Reader:
    """Takes the events of one XML file. Nothing is kept but cases, so size and depth of the rest do no harm."""

    cases: list[Case] = field(default_factory=list)
    case: Case | None = None
    inside: str = ""  # the element within a case whose text is a diagnostic
    depth: int = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise _Stop
        if name == "testcase" and self.case is None:
            if len(self.cases) >= MOST:
                raise _Stop
            where = attributes.get("classname", "") or attributes.get("file", "")
            what = attributes.get("name", "")
            self.case = Case(f"{where} › {what}" if where else what, True, seconds=_seconds(attributes))
        elif self.case is not None and name in ("failure", "error"):
            self.case.passed, self.inside = False, name
            _append(self.case, attributes.get("message", ""))
        elif self.case is not None and name == "skipped":
            self.case.directive = f"skip {attributes.get('message', '')}".strip()

    def end(self, name: str) -> None:
        self.depth -= 1
        if name == self.inside:
            self.inside = ""
        elif name == "testcase" and self.case is not None and not self.inside:
            self.cases.append(self.case.bounded())
            self.case = None

    def text(self, data: str) -> None:
        if self.inside and self.case is not None and len(self.case.diagnostic) < MOST_DIAGNOSTIC:
            self.case.diagnostic += data

    def refuse(self, *_: Any) -> int:
        raise _Stop


def _seconds(attributes: dict[str, str]) -> float | None:
    try:
        seconds = float(attributes.get("time", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < 10**6 else None


def read_junit(data: bytes) -> list[Case]:
    """The cases of a report in JUnit's XML; of a damaged one those before the damage. Documents with a DTD are not
    read at all: entities are how XML attacks its readers."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = reader.refuse
    parser.ExternalEntityRefHandler = reader.refuse
    parser.buffer_text = True
    with suppress(
        expat.ExpatError, _Stop, ValueError, LookupError
    ):  # the last two of an encoding that is none
        parser.Parse(data, True)
    return reader.cases


def numbered(groups: Iterable[Iterable[Case]]) -> Iterator[tuple[int, Case]]:
    """All cases of a node with their numbers from 1 on, `MOST` at most."""
    number = 0
    for group in groups:
        for case in group:
            if number >= MOST:
                return
            number += 1
            yield number, case
