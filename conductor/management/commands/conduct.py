import asyncio
import signal
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from conductor import ssh
from conductor.compose import compose
from conductor.ears import listen
from conductor.fronts import front
from conductor.probes import Probes
from core import live
from core.errors import EngineError


class Command(BaseCommand):
    help = (
        "Moves builds, releases, promotions and dynos forward, and routes requests; the web part runs apart."
    )
    requires_system_checks = ()  # they load every page: a second

    def handle(self, **options: Any) -> None:
        try:
            asyncio.run(self.conduct())
        except EngineError as error:
            raise CommandError(str(error)) from error

    async def conduct(self) -> None:
        """Work until SIGTERM or SIGINT."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        before = front(https=False)
        live.use_loop(loop)
        conductor = compose(before.router, before.tally)
        await loop.run_in_executor(None, conductor.start)
        shell = ssh.server(conductor.find_guest, lambda: conductor.leads)
        if shell:
            shell.start()
        where = await before.start(conductor.find_guest, lambda: conductor.leads, conductor.wake)
        self.stdout.write(f"Conducting; apps answer on {where}.")
        self.stdout.flush()
        probes = Probes(conductor, settings.MONITOR) if settings.MONITOR else None
        ears = asyncio.create_task(listen(conductor.nudge))
        await stop.wait()
        ears.cancel()
        if probes:
            probes.stop()
        started = time.monotonic()
        if shell:
            await loop.run_in_executor(None, shell.stop)
        await loop.run_in_executor(None, conductor.stop)
        await before.stop()
        live.use_loop(None)
        self.stdout.write(f"Stopped in {time.monotonic() - started:.1f} s.")
