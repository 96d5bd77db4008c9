"""The embedded default: router, Daphne and conductor in one process, on one event loop and one port."""

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from apps.logs import store
from core import live

if TYPE_CHECKING:
    from conductor.fronts import Front
    from conductor.loop import Conductor

Say = Callable[[str], None]


class CannotStart(Exception):
    """Why the platform does not start, and what to do about it."""


def check_port(host: str, port: int) -> None:
    """`CannotStart` when somebody listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise CannotStart(
                f"Port {port} on {host} can't be used ({error}). Choose another: bin/up --port {min(port + 1, 65000)}"
            ) from error


def prepare_socket(path: Path) -> None:
    """Make the folder of the control socket, for this user alone, and clear a socket that was left there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid():
        raise CannotStart(f"{path.parent} belongs to someone else.")
    path.unlink(missing_ok=True)


def run(ready: Callable[[], None]) -> None:
    """Run the platform until SIGINT or SIGTERM; `ready` is called in a thread once it answers."""
    from config.server import install_reactor

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    install_reactor(loop)
    live.use_loop(loop)
    try:
        loop.run_until_complete(_live(loop, ready))
    finally:
        live.use_loop(None)
        loop.close()


async def _live(loop: asyncio.AbstractEventLoop, ready: Callable[[], None]) -> None:
    from conductor import ssh
    from conductor.compose import compose
    from conductor.fronts import front
    from config import server
    from config.asgi import application
    from releases.pushed import tell_untold
    from releases.pushes import end_abandoned, in_thread

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    prepare_socket(settings.CONTROL_SOCKET)
    before = front(https=True)
    await in_thread(end_abandoned)
    await in_thread(tell_untold)
    web = await server.serve(application, unix=settings.CONTROL_SOCKET)
    conductor = compose(before.router, before.tally)
    await loop.run_in_executor(None, conductor.start)
    await before.start(conductor.find_guest, lambda: conductor.leads, conductor.wake)
    shell = ssh.server(conductor.find_guest, lambda: conductor.leads)
    if shell:
        shell.start()
    threading.Thread(target=ready, name="ready", daemon=True).start()
    try:
        await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # a second Ctrl-C ends the process at once
        if shell:
            await loop.run_in_executor(None, shell.stop)
        await _stop(loop, before, conductor, web)


async def _stop(
    loop: asyncio.AbstractEventLoop, before: "Front", conductor: "Conductor", web: object
) -> None:
    """New work first, then the dynos, then those who still read, then the log."""
    started = time.monotonic()
    await loop.run_in_executor(None, conductor.stop)
    await before.stop()
    await web.stop()  # type: ignore[attr-defined]
    await loop.run_in_executor(None, store().close)
    print(f"Stopped in {time.monotonic() - started:.1f} s.", file=sys.stderr)
