"""The bridge of this data folder: what it vouches with, where it runs, and running it."""

import asyncio
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from api.resources.bridged.hosts import HOSTS
from config import cli
from config.bridge import Bridge, Instance
from config.tls import instance_certificate
from engine.outbound import Outbound
from engine.tls import LocalCA

FOLDER = settings.DATA / "tls" / "bridge"
ADDRESS = settings.DATA / "run" / "bridge"  # of the one that runs


def bridge_ca() -> LocalCA:
    """An authority apart from the instance's own, which people may trust for more than one shell and which therefore
    never speaks for names of others."""
    return LocalCA(FOLDER, permitted=HOSTS)


def bundle() -> Path:
    """A file with all that a CLI behind the bridge has to trust: the bridge, and the instance itself."""
    certificates = [bridge_ca().certificate, *filter(None, [instance_certificate()])]
    found = FOLDER / "bundle.pem"
    _write(found, "".join(path.read_text() for path in certificates))
    return found


def running_at() -> str | None:
    """The address of the bridge that runs, host:port."""
    with suppress(OSError, ValueError):
        address = ADDRESS.read_text().strip()
        host, _, port = address.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return address
    return None


async def run(
    host: str,
    port: int,
    *,
    relay: bool,
    ready: Callable[[str], None],
    command: Sequence[str] = (),
    token: str = "",
) -> int:
    """Run the bridge until SIGINT or SIGTERM, or until `command`, which goes through it, has ended; returns what it
    exits with. `ready` gets the address."""
    instance = Instance(settings.URL, settings.APPS_HOST, settings.RENDEZVOUS)
    bridge = Bridge(instance, bridge_ca(), relay=Outbound() if relay else None)
    listening, number = await bridge.start(host, port)
    address = f"[{listening}]:{number}" if ":" in listening else f"{listening}:{number}"
    try:
        if command:
            return await _run(command, address, token)
        _write(ADDRESS, address)
        ready(address)
        await _until_stopped()
        return 0
    finally:
        with suppress(OSError):  # another may have started since, on another port
            if ADDRESS.read_text() == address:
                ADDRESS.unlink()
        await bridge.stop()


async def _run(command: Sequence[str], address: str, token: str) -> int:
    """The command with the variables that lead it here. Ctrl-C is for it alone."""
    found = cli.variables(settings.URL, certificate=instance_certificate(), token=token)
    kept = {name: value for name, value in os.environ.items() if name not in cli.IN_THE_WAY}
    env = {**kept, **cli.bridged(found, proxy=address, bundle=bundle())}
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
    process = await asyncio.create_subprocess_exec(*command, env=env)
    status = await process.wait()
    return status if status >= 0 else 128 - status


async def _until_stopped() -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(temporary).rename(path)
