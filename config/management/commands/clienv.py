from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import cli
from config.tls import instance_certificate


class Command(BaseCommand):
    help = "Prints what points the Heroku CLI and git at this instance, for a shell to evaluate. See bin/cli-env."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--token", default="", help="an API token for the CLI to use for everything")
        parser.add_argument(
            "--bridge", action="store_true", help="go through bin/cli-bridge, which has to run"
        )

    def handle(self, *, token: str, bridge: bool, **options: Any) -> None:
        try:
            found = cli.variables(settings.URL, certificate=instance_certificate(), token=token)
        except cli.Unreachable as error:
            raise CommandError(str(error)) from error
        if bridge:
            from config import bridging  # brings the API along, which takes a while

            proxy = bridging.running_at()
            if proxy is None:
                raise CommandError(
                    "No bridge runs on this data folder. Start bin/cli-bridge in another terminal first."
                )
            found = cli.bridged(found, proxy=proxy, bundle=bridging.bundle())
        self.stdout.write(cli.exports(found), ending="")
