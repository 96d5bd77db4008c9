"""What the doctor says of one thing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True)
class Finding:
    """`text` says how it is, `advice` what to do about it; the latter is empty when all is well."""

    name: str
    state: str
    text: str
    advice: str = ""


Check = Callable[[], Iterator[Finding]]


def ok(name: str, text: str) -> Finding:
    """All is well."""
    return Finding(name, OK, text)


def warning(name: str, text: str, advice: str) -> Finding:
    """It works, and should be better."""
    return Finding(name, WARNING, text, advice)


def problem(name: str, text: str, advice: str) -> Finding:
    """Something does not work, or will be lost."""
    return Finding(name, PROBLEM, text, advice)
