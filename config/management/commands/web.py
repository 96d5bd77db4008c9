import asyncio
import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config import platform
from core import live


class Command(BaseCommand):
    help = "Serves dashboard, API, git and websockets alone, without router and conductor."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--listen",
            default="",
            help="HOST:PORT or unix:/PATH; without it, the control socket in the data folder",
        )

    def handle(self, *, listen: str, **options: Any) -> None:
        from config.server import install_reactor

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        install_reactor(loop)
        live.use_loop(loop)
        loop.run_until_complete(self.serve(loop, listen))

    async def serve(self, loop: asyncio.AbstractEventLoop, listen: str) -> None:
        """Serve until SIGTERM or SIGINT."""
        from config import server
        from config.asgi import application
        from releases.pushed import tell_untold
        from releases.pushes import end_abandoned, in_thread

        await in_thread(end_abandoned)
        await in_thread(tell_untold)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        host, _, port = listen.rpartition(":")
        if listen and host != "unix":
            web = await server.serve(application, tcp=(host.strip("[]"), int(port)))
        else:
            place = Path(port) if listen else settings.CONTROL_SOCKET
            platform.prepare_socket(place)
            web = await server.serve(application, unix=place)
        self.stdout.write(f"Serving on {listen or settings.CONTROL_SOCKET}.")
        self.stdout.flush()
        await stop.wait()
        await web.stop()
