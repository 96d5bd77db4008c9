from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import cli
from config.tls import local_ca


class Command(BaseCommand):
    help = "Prints what points the Heroku CLI and git at this instance, for a shell to evaluate. See bin/cli-env."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--token", default="", help="an API token for the CLI to use for everything")

    def handle(self, *, token: str, **options: Any) -> None:
        own = None if settings.URL.startswith("https://") else local_ca().certificate
        try:
            found = cli.variables(settings.URL, certificate=own, token=token)
        except cli.Unreachable as error:
            raise CommandError(str(error)) from error
        self.stdout.write(cli.exports(found), ending="")
