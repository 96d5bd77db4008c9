"""The one place where lines of output are made fit to be shown (promises I-24, I-44).

The store keeps every byte. Whoever shows a line, on a page, in a terminal, in an event stream, shows `harmless(text)`:
colours stay, everything else that moves a cursor, hides, overwrites or reorders text is taken out, so that no line
can pass for another.
"""

import re

# Escape sequences: CSI (colours are spared below), OSC and other strings up to their end, and two-character ones.
_SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]*)m"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ERROR = re.compile(
    r"\b(?:ERROR|Error|error|FATAL|Fatal|fatal|CRITICAL|PANIC|panic|Traceback|Exception)\b|\bstatus=5\d\d\b"
)
_WARNING = re.compile(r"\b(?:WARN|WARNING|Warning|warning|warn)\b|\bstatus=4\d\d\b")


def harmless(text: bytes) -> str:
    """The text of a line as it may be shown: one line, printable, with at most colour sequences (`ESC[…m`) in it."""
    shown = text.decode("utf-8", "replace")
    if shown.isprintable():
        return shown
    shown = _SEQUENCE.sub(_spare_colour, shown.rstrip("\r"))
    shown = shown.rpartition("\r")[2]  # a progress bar draws over itself; show its last state
    return _CONTROL.sub("", shown)


def plain(text: str) -> str:
    """A harmless text without its colours."""
    return _COLOUR.sub("", text)


def is_error(text: str) -> bool:
    """Whether a line reads like an error."""
    return _ERROR.search(text) is not None


def is_warning(text: str) -> bool:
    """Whether a line reads like a warning."""
    return _WARNING.search(text) is not None


def _spare_colour(found: re.Match[str]) -> str:
    return found[0] if found[1] is not None else ""
