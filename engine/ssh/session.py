"""A shell or a command in a dyno, for an SSH client."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import asyncssh

from engine.spec import Attached
from engine.ssh.carry import CHUNK, Opener, first, hosted, read, write

TYPED = {"INT": b"\x03", "QUIT": b"\x1c", "TSTP": b"\x1a"}  # at a terminal a signal is what one would type
PASSED = ("LANG", "LC_")  # variables of the client's that a dyno gets
LARGEST = 1000  # columns or lines of a terminal
NO_STATUS = 255  # what the end of a command without an exit status is told as
REFUSED = 1


async def serve(process: "asyncssh.SSHServerProcess[bytes]", opener: Opener) -> None:
    """Do what the client asks for, and end with its exit status."""
    if process.subsystem:
        process.stderr.write(b"There are only shells, commands and sftp here.\r\n")
        return process.exit(REFUSED)
    tty = process.term_type is not None
    try:
        visit = await opener(process.command or "", tty=tty, env=_variables(process))
    except LookupError as error:
        process.stderr.write(f"{error.args[0]}\r\n".encode())
        return process.exit(REFUSED)
    streams = visit.guest.streams
    status: int | None = NO_STATUS
    async with hosted(visit.guest, _feed(process, streams, tty)) as put_out:
        shown = asyncio.ensure_future(_show(process, streams))
        await first(shown, put_out.wait(), process.wait_closed())
        if shown.done() and not shown.cancelled():
            status = await asyncio.to_thread(visit.status)
    with contextlib.suppress(OSError):
        process.exit(NO_STATUS if status is None else max(status, 0) & 0xFF)


def _variables(process: "asyncssh.SSHServerProcess[bytes]") -> Mapping[str, str]:
    """What the command finds in its environment beside its app's config: as `heroku run` has it."""
    found = {name: value for name, value in process.env.items() if name.startswith(PASSED)}
    if process.term_type is not None:
        columns, lines = _size(*process.term_size[:2])
        found |= {"TERM": process.term_type[:50], "COLUMNS": str(columns), "LINES": str(lines)}
    return found


def _size(columns: int, lines: int) -> tuple[int, int]:
    return min(columns, LARGEST) or 80, min(lines, LARGEST) or 24


async def _show(process: "asyncssh.SSHServerProcess[bytes]", streams: Attached) -> None:
    while data := await read(streams):
        process.stdout.write(data)
        await process.stdout.drain()


async def _feed(process: "asyncssh.SSHServerProcess[bytes]", streams: Attached, tty: bool) -> None:
    """What the client types, until it says that no more comes."""
    while True:
        try:
            data = await process.stdin.read(CHUNK)
            if not data:
                return streams.end_input()
        except asyncssh.TerminalSizeChanged as change:
            streams.resize(*_size(change.width, change.height))
            continue
        except (asyncssh.BreakReceived, asyncssh.SignalReceived) as asked:
            name: Any = getattr(asked, "signal", "INT")
            if not tty or name not in TYPED:
                return process.close()  # which ends it
            data = TYPED[name]
        if not await write(streams, data):
            return
