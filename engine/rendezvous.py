"""Where people meet the one-off dyno that they started: the CLI's side of `heroku run`.

The client opens TLS, sends its secret and a line break, and gets one line back, which it throws away as a whole: so that
must be a record of its own. From then on both directions are raw bytes until the dyno ends or the client goes.
"""

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from engine.spec import Attached

log = logging.getLogger(__name__)
PREFIX = b"rendezvous-"  # of every secret; no HTTP request starts with it
GREETING = b"rendezvous\r\n"
LONGEST_SECRET = 200
SECRET_SECONDS = 0.5  # some clients send no line break: then the secret is what has come by then
CHUNK = 16 * 1024  # no more than fits into one TLS record
HELD = 64 * 1024  # input that the dyno has not read yet: the client has to wait
END_OF_INPUT = 0x04
QUIET_SECONDS = 0.2  # an 0x04 is the end of input only if nothing comes after it
# A dyno may end before its client has said that its input has: the CLI fails when it can't say that any more. It says so
# at the greeting at the soonest, and may be slow; who was greeted long ago has had the time.
FAREWELL_SECONDS = 0.5
FAREWELL_AFTER_GREETING_SECONDS = 3.0
# `heroku run --exit-code` looks for this mark and its number in one piece.
MARK = "\uffff".encode()
MARK_SECONDS = 0.5
CHECK_SECONDS = 2.5  # between two looks at whether a guest may stay


def anybody() -> bool:
    """Nobody is shown out."""
    return True


class Guest(NamedTuple):
    """A dyno's streams, what to do when its guest has gone, and whether they may stay: asked every few seconds. A person
    at a terminal never says that their input is over."""

    streams: Attached
    leave: Callable[[], None]
    may_stay: Callable[[], bool] = anybody
    is_person: bool = False


# Finds the dyno by its secret; waits until it has started. Raises `LookupError` with what to tell the client.
Find = Callable[[str], Guest]


async def until_unwelcome(guest: Guest) -> None:
    """Wait until `guest` may not stay any longer: it is asked every `CHECK_SECONDS`."""
    stays = True
    while stays:
        await asyncio.sleep(CHECK_SECONDS)
        try:
            stays = await asyncio.to_thread(guest.may_stay)
        except Exception:  # the database is away, say: what runs is not broken off for that
            log.exception("Could not check whether a guest may stay")


class Meeting(asyncio.Protocol):
    """One client and its dyno."""

    def __init__(self, transport: asyncio.Transport, find: Find, gone: "Callable[[Meeting], None]") -> None:
        self._transport = transport
        self._find = find
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._secret = b""
        self._input = bytearray()
        self._input_over = False
        self._guest: Guest | None = None
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._held = b""  # output that waits for the rest of the mark
        self._said_all, self._leaving = False, False  # the client; we
        self._greeted = 0.0  # by the loop's clock
        self._timers: dict[str, asyncio.TimerHandle] = {}

    # --- the client's side --------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        if self._task is not None:
            return self._take(data)
        self._secret += data
        line, end, rest = self._secret.partition(b"\r\n")
        if end:
            self._begin(line)
            self._take(rest)
        elif len(self._secret) > LONGEST_SECRET:
            self._transport.abort()
        else:
            self._later("secret", SECRET_SECONDS, lambda: self._begin(self._secret))

    def _begin(self, secret: bytes) -> None:
        timer = self._timers.pop("secret", None)
        if timer:
            timer.cancel()
        self._task = self._loop.create_task(self._meet(secret.decode("latin-1")))

    async def _meet(self, secret: str) -> None:
        self._transport.write(GREETING)
        self._greeted = self._loop.time()
        try:
            guest = await asyncio.to_thread(self._find, secret)
        except LookupError as error:
            self._transport.write(f"{error.args[0]}\r\n".encode())
            self._transport.close()
            return
        if self._transport.is_closing():
            guest.streams.close()
            guest.leave()
            return
        self._guest = guest
        self._loop.add_reader(guest.streams.reader, self._read)
        self._watch = self._loop.create_task(self._show_out(guest))
        self._write()

    async def _show_out(self, guest: Guest) -> None:
        """Cut off a guest who may not stay any longer."""
        await until_unwelcome(guest)
        self._transport.abort()

    def _take(self, data: bytes) -> None:
        self._said_all = data[-1:] == bytes([END_OF_INPUT])
        if self._leaving and self._said_all:
            self._transport.close()
        if self._input_over or self._leaving:
            return
        quiet = self._timers.pop("quiet", None)
        if quiet:
            quiet.cancel()
        self._input += data
        if len(self._input) > HELD:
            self._transport.pause_reading()
        self._write()

    def eof_received(self) -> bool:
        """Part of asyncio.Protocol: TLS knows no half-closed connection."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol: whoever started it has gone, so it is not wanted any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._part()
        self._gone(self)

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol: the client is slower than the dyno, which has to wait."""
        if self._guest:
            self._loop.remove_reader(self._guest.streams.reader)

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol."""
        if self._guest:
            self._loop.add_reader(self._guest.streams.reader, self._read)

    def close(self) -> None:
        """The platform stops."""
        self._transport.close()

    # --- the dyno's side ----------------------------------------------------------------------------------------

    def _read(self) -> None:
        assert self._guest is not None
        try:
            data = os.read(self._guest.streams.reader, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:  # the end, as a terminal tells it
                raise
            data = b""
        if data:
            return self._send(data)
        self._flush()
        self._leaving, is_person = True, self._guest.is_person
        self._part()
        if is_person or self._said_all:
            self._transport.close()
        else:
            left = self._greeted + FAREWELL_AFTER_GREETING_SECONDS - self._loop.time()
            self._later("farewell", max(FAREWELL_SECONDS, left), self._transport.close)

    def _send(self, data: bytes) -> None:
        """Send on, but for a mark that is not whole yet."""
        data, self._held = self._held + data, b""
        at = _open_mark(data)
        if at is not None:
            data, self._held = data[:at], data[at:]
            self._later("mark", MARK_SECONDS, self._flush)
        if data:
            self._transport.write(data)

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held:
            self._transport.write(held)

    def _write(self) -> None:
        """Give the dyno what came for it. An 0x04 at the end may be data, or mean that no more comes."""
        if self._guest is None or self._input_over:
            return
        streams = self._guest.streams
        self._loop.remove_writer(streams.writer)
        rest = self._input[-1:] if self._ends_with_eot() else bytearray()
        ready = self._input[: len(self._input) - len(rest)]
        try:
            done = os.write(streams.writer, ready) if ready else 0
        except BlockingIOError:
            done = 0
        except OSError:  # it does not read any more
            self._input_over = True
            return
        self._input = ready[done:] + rest
        if len(self._input) > len(rest):
            self._loop.add_writer(streams.writer, self._write)
        elif rest:
            self._later("quiet", QUIET_SECONDS, self._end_input)
        if len(self._input) <= HELD:
            self._transport.resume_reading()

    def _ends_with_eot(self) -> bool:
        assert self._guest is not None
        streams = self._guest.streams
        return streams.reader != streams.writer and self._input[-1:] == bytes([END_OF_INPUT])

    def _end_input(self) -> None:
        if self._guest:
            self._input_over = True
            self._guest.streams.end_input()

    def _part(self) -> None:
        guest, self._guest = self._guest, None
        if guest is None:
            return
        if self._watch:
            self._watch.cancel()
        self._loop.remove_reader(guest.streams.reader)
        if guest.streams.writer >= 0:
            self._loop.remove_writer(guest.streams.writer)
        guest.streams.close()
        with suppress(Exception):
            guest.leave()

    def _later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        old = self._timers.pop(name, None)
        if old:
            old.cancel()
        self._timers[name] = self._loop.call_later(seconds, call)


def _open_mark(data: bytes) -> int | None:
    """Where a mark begins whose line is not whole; None without one."""
    at = data.rfind(MARK)
    if at >= 0:
        return at if b"\n" not in data[at:] else None
    return next((len(data) - n for n in (2, 1) if data.endswith(MARK[:n])), None)
