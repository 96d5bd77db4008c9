import asyncio
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import bridging, cli
from config.tunnels import Refused

PORT = 8877
READY = """The bridge listens on {address}. In the shell where you use the Heroku CLI:
  eval "$(bin/cli-env --bridge TOKEN)"
Ctrl-C ends it."""


class Command(BaseCommand):
    help = "Brings what the Heroku CLI sends to fixed hosts to this instance: a proxy on loopback. See bin/cli-bridge."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--listen", default="", help=f"a loopback address: PORT or HOST:PORT ({PORT})")
        parser.add_argument("--relay", action="store_true", help="let other requests out to public addresses")
        parser.add_argument("--token", default="", help="an API token for the command")
        parser.add_argument("command", nargs="*", help="a command to run through the bridge, after --")

    def handle(self, *, listen: str, relay: bool, token: str, command: list[str], **options: Any) -> None:
        host, port = _address(listen or f"127.0.0.1:{0 if command else PORT}")
        try:
            status = asyncio.run(
                bridging.run(host, port, relay=relay, ready=self._ready, command=command, token=token)
            )
        except (Refused, cli.Unreachable) as refusal:
            raise CommandError(str(refusal)) from refusal
        except OSError as error:
            what = command[0] if command and error.filename else f"{host}:{port}"
            raise CommandError(f"{what} can't be used: {error.strerror or error}") from error
        sys.exit(status)

    def _ready(self, address: str) -> None:
        self.stderr.write(READY.format(address=address))


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise CommandError(f"{text} is no address: give PORT or HOST:PORT.")
    return host or "127.0.0.1", int(port)
