"""Sends apps' logs on to their drains: each drain for itself, from the line that it was sent last.

That line's number is kept with the drain, and written after a batch has arrived: an interruption repeats a batch and
loses none. What a drain can't take in time waits in the log store, up to `SLIPWAY_DRAIN_LINES`; a drain that falls
back further is told how many lines it missed.
"""

import base64
import contextlib
import logging
import socket
import ssl
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apps.drains import without_person
from apps.models import LogDrain
from conductor.parts import Parts
from conductor.turns import Turns, release_connections
from core import failpoints
from core.errors import EngineError, Refusal
from core.text import storable
from engine.outbound import Outbound
from engine.spec import Line
from engine.syslog import frame, message

log = logging.getLogger(__name__)

THREADS = 16
BATCH_LINES, BATCH_BYTES = 2000, 512 * 1024
LONGEST_PAUSE = 60.0  # seconds between two tries
SYSLOG = ("syslog", "syslog+tls")


@dataclass(frozen=True)
class Batch:
    """Lines that go together, and the number that the last one has in the log."""

    lines: list[Line]
    start: int
    end: int


class Drains:
    """Has all drains sent what they lack. `look` is cheap when they lack nothing."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turns: Turns[UUID] = Turns(self._turn, threads=THREADS, name="drain")
        self._pauses: dict[UUID, float] = {}  # drain: when it is tried again
        self._connections: dict[UUID, socket.socket] = {}

    def start(self) -> None:
        """Begin."""
        self._turns.start()

    def stop(self) -> None:
        """Send no more."""
        self._turns.stop(2)
        for drain in tuple(self._connections):
            self._hang_up(drain)

    def look(self) -> None:
        """Find the drains whose log has gone on."""
        now, logs = time.monotonic(), self._parts.logs
        rows = LogDrain.objects.values_list("pk", "app", "position")
        for pk, app, position in rows:
            if self._pauses.get(pk, 0) <= now and logs.last(f"app/{app}") != position:
                self._turns.ask(pk)
        for gone in set(tuple(self._connections)) - {row[0] for row in rows}:
            self._hang_up(gone)

    def _turn(self, pk: UUID) -> None:
        try:
            self._send_next(pk)
        finally:
            release_connections()

    def _send_next(self, pk: UUID) -> None:
        drain = LogDrain.objects.filter(pk=pk).select_related("app").first()
        if drain is None or self._pauses.get(pk, 0) > time.monotonic():
            return
        batch = self._next(drain)
        if batch is None:
            return
        release_connections()
        try:
            self._send(drain, batch)
        except (EngineError, Refusal, OSError) as fault:
            self._failed(drain, fault)
            return
        except Exception:  # ours, and logged: it must not fill the log
            self._pauses[pk] = time.monotonic() + LONGEST_PAUSE
            raise
        failpoints.reach("drain.sent")
        self._pauses.pop(pk, None)
        _write(drain, position=batch.end, sent_at=timezone.now(), failures=0, last_error="")
        self._turns.ask(pk)

    def _next(self, drain: LogDrain) -> Batch | None:
        """What to send now; None when there is nothing."""
        logs, stream = self._parts.logs, drain.app.log_stream
        last, start = logs.last(stream), drain.position
        if start > last:  # the log has begun anew
            start = 0
        kept = max(logs.first(stream) - 1, last - settings.DRAIN_LINES)
        lines = []
        if start < kept:
            lines.append(_overflow(kept - start, drain))
            start = kept
        end, size = start, 0
        for entry in logs.read(stream, after=start, limit=BATCH_LINES):
            lines.append(entry.line)
            end, size = entry.offset, size + len(entry.line.text)
            if size > BATCH_BYTES:
                break
        return Batch(lines, drain.position, end) if lines else None

    def _send(self, drain: LogDrain, batch: Batch) -> None:
        if urlsplit(drain.url).scheme in SYSLOG:
            self._by_syslog(drain, batch)
        else:
            _by_http(drain, batch)

    def _by_syslog(self, drain: LogDrain, batch: Batch) -> None:
        """One connection is kept for all batches. Its end shows before a batch is written, or while it is."""
        connection = self._connections.get(drain.pk)
        if connection is None or not _is_open(connection):
            self._hang_up(drain.pk)
            connection = Outbound(settings.OUTBOUND_ALLOW).connect(
                drain.url, schemes=SYSLOG, seconds=settings.WEBHOOK_SECONDS
            )
            self._connections[drain.pk] = connection
        data = b"".join(frame(message(line, drain.token)) for line in batch.lines)
        try:
            connection.sendall(data)
        except OSError:
            self._hang_up(drain.pk)
            raise

    def _failed(self, drain: LogDrain, fault: Exception) -> None:
        pause = min(settings.WEBHOOK_RETRY_SECONDS / 15 * 2 ** min(drain.failures, 20), LONGEST_PAUSE)
        self._pauses[drain.pk] = time.monotonic() + pause
        _write(drain, failures=drain.failures + 1, last_error=storable(str(fault))[:200])

    def _hang_up(self, drain: UUID) -> None:
        connection = self._connections.pop(drain, None)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()


def _by_http(drain: LogDrain, batch: Batch) -> None:
    parts = urlsplit(drain.url)
    headers = {
        "Content-Type": "application/logplex-1",
        "Logplex-Msg-Count": str(len(batch.lines)),
        "Logplex-Frame-Id": uuid.uuid5(drain.pk, f"{batch.start}-{batch.end}").hex,
        "Logplex-Drain-Token": drain.token,
    }
    if parts.username is not None:
        person = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(person.encode()).decode()}"
    answer = Outbound(settings.OUTBOUND_ALLOW).request(
        "POST",
        without_person(drain.url),
        headers=headers,
        body=b"".join(frame(message(line, "host") + b"\n") for line in batch.lines),
        seconds=settings.WEBHOOK_SECONDS,
        max_bytes=0,
    )
    if not 200 <= answer.status < 300:
        raise EngineError(f"It answers {answer.status}.")


def _is_open(connection: socket.socket) -> bool:
    """Whether the other side is still there; what it says is not wanted."""
    patience = connection.gettimeout()
    try:
        connection.setblocking(False)
        return connection.recv(65536) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(patience)


def _overflow(dropped: int, drain: LogDrain) -> Line:
    since = (drain.sent_at or drain.created_at).isoformat(timespec="seconds")
    text = f"Error L10 (output buffer overflow): {dropped} messages dropped since {since}."
    return Line("heroku", "logplex", text.encode(), time.time())


def _write(drain: LogDrain, **changes: Any) -> None:
    LogDrain.objects.filter(pk=drain.pk).update(**changes)
