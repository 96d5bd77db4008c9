"""Bytes between a dyno's streams and an SSH channel, on one asyncio loop."""

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from engine.rendezvous import Guest, until_unwelcome
from engine.spec import Attached
from engine.ssh.door import Visit

CHUNK = 64 * 1024
Opener = Callable[..., Awaitable[Visit]]


async def read(streams: Attached) -> bytes:
    """What comes next from the dyno; nothing at its end."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return os.read(streams.reader, CHUNK)
        except BlockingIOError:
            await _until(loop.add_reader, loop.remove_reader, streams.reader)
        except OSError as error:
            if error.errno != errno.EIO:  # the end, as a terminal tells it
                raise
            return b""


async def write(streams: Attached, data: bytes) -> bool:
    """Give the dyno all of `data`, as fast as it takes it; False when it does not read any more."""
    loop, left = asyncio.get_running_loop(), memoryview(data)
    while left:
        try:
            left = left[os.write(streams.writer, left) :]
        except BlockingIOError:
            await _until(loop.add_writer, loop.remove_writer, streams.writer)
        except OSError:
            return False
    return True


async def line(streams: Attached, most: int = 500) -> tuple[bytes, bytes]:
    """The first line that comes, and what has come behind it already."""
    have = b""
    while b"\n" not in have and len(have) < most and (data := await read(streams)):
        have += data
    first, _, rest = have.partition(b"\n")
    return first, rest


@contextlib.asynccontextmanager
async def hosted(guest: Guest, *others: Awaitable[Any]) -> AsyncIterator[asyncio.Event]:
    """While `guest` is here: have `others` done beside it, and look whether they may stay. Yields what is set once they may
    not. In the end nothing of them is left, in the dyno either."""
    out = asyncio.Event()
    tasks = [asyncio.ensure_future(each) for each in (*others, _watch(guest, out))]
    try:
        yield out
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        guest.streams.close()
        await asyncio.shield(asyncio.to_thread(_leave, guest))


async def first(*things: Awaitable[Any]) -> None:
    """Wait for the first of `things`, and give the others up."""
    tasks = [asyncio.ensure_future(each) for each in things]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _watch(guest: Guest, out: asyncio.Event) -> None:
    await until_unwelcome(guest)
    out.set()


def _leave(guest: Guest) -> None:
    with contextlib.suppress(Exception):
        guest.leave()


async def _until(add: Callable[..., None], remove: Callable[[int], object], fd: int) -> None:
    ready = asyncio.get_running_loop().create_future()

    def set_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    add(fd, set_ready)
    try:
        await ready
    finally:
        remove(fd)
