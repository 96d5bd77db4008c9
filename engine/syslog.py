"""Log lines as drains get them: one syslog message each, and frames that say how long they are (RFC 6587)."""

from datetime import UTC, datetime

from engine.spec import Line

# Facility and severity, as Heroku's own log drains have them.
APP, ROUTER, PLATFORM, TROUBLE = 190, 158, 45, 172


def message(line: Line, host: str) -> bytes:
    """One line as a message: `<190>1 2026-01-02T03:04:05.678901+00:00 host app web.1 - text`."""
    at = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="microseconds")
    return f"<{_priority(line)}>1 {at} {host} {line.source} {line.dyno} - ".encode() + line.text


def frame(message: bytes) -> bytes:
    """A message after its length in bytes."""
    return b"%d %s" % (len(message), message)


def _priority(line: Line) -> int:
    if line.source == "app":
        return APP
    if line.dyno == "logplex":
        return TROUBLE
    return ROUTER if line.dyno == "router" else PLATFORM
