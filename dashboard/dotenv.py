"""The `.env` notation: one `NAME=value` a line, as people keep it in files and paste it from elsewhere.

Errors name lines and never quote them: what stands there may be a secret.
"""

import re
from collections.abc import Mapping

_START = re.compile(r"\s*(?:export\s+)?([^=\s#]+)\s*=[ \t]*(.*)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$", "'": "'"}
_PLAIN = re.compile(r"[^\s'\"#\\$]([^\n'\"#\\]*[^\s'\"#\\])?")


class BadLine(Exception):
    """What is wrong with one line."""


def parse(text: str) -> tuple[dict[str, str], list[str]]:
    """Read `text` into names and values, and say what is wrong, one sentence a line: `Line 3 has no “=”.`

    Quoted values may go over several lines; `'…'` is taken as it stands, in `"…"` a backslash escapes.
    """
    values: dict[str, str] = {}
    seen: dict[str, int] = {}
    problems: list[str] = []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = 0
    while at < len(lines):
        number = at + 1
        try:
            found, at = _read(lines, at)
            if found is None:
                continue
            key, value = found
            if key in seen:
                raise BadLine(f"sets a name that line {seen[key]} has set already")
            seen[key], values[key] = number, value
        except BadLine as problem:
            problems.append(f"Line {number} {problem}.")
            at = max(at, number)
    return values, problems


def dump(values: Mapping[str, str]) -> str:
    """Write `values` so that `parse` reads the very same."""
    return "".join(f"{key}={_quote(value)}\n" for key, value in sorted(values.items()))


def _read(lines: list[str], at: int) -> tuple[tuple[str, str] | None, int]:
    """What stands at line `at` (nothing on a blank line or comment), and the line after it."""
    line = lines[at].strip()
    if not line or line.startswith("#"):
        return None, at + 1
    match = _START.fullmatch(lines[at])
    if match is None:
        raise BadLine("has no “=” between a name and a value")
    key, rest = match[1], match[2]
    if rest[:1] in ("'", '"'):
        value, at = _quoted(lines, at, rest)
        return (key, value), at
    return (key, re.split(r"(?:^|\s)#", rest, maxsplit=1)[0].strip()), at + 1


def _quoted(lines: list[str], at: int, rest: str) -> tuple[str, int]:
    quote, text, end = rest[0], rest[1:], at + 1
    while True:
        value, closed = _until(text, quote)
        if closed is not None:
            after = text[closed + 1 :].strip()
            if after and not after.startswith("#"):
                raise BadLine("goes on after its closing quote")
            return value, end
        if end == len(lines):
            raise BadLine(f"opens a {quote} that is never closed")
        text, end = f"{text}\n{lines[end]}", end + 1


def _until(text: str, quote: str) -> tuple[str, int | None]:
    """The text up to the closing quote with its escapes resolved, and where that quote is (None: nowhere)."""
    if quote == "'":
        end = text.find("'")
        return (text[:end], end) if end >= 0 else (text, None)
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == '"':
            return "".join(out), at
        if text[at] == "\\" and at + 1 < len(text):
            out.append(_ESCAPES.get(text[at + 1], text[at : at + 2]))
            at += 2
        else:
            out.append(text[at])
            at += 1
    return "", None


def _quote(value: str) -> str:
    if not value or _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r")
    return f'"{escaped}"'
