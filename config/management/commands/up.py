import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from accounts import actions
from accounts.models import User
from apps.models import App
from config import demo, instance, platform
from config.platform import CannotStart
from core import space


class Command(BaseCommand):
    help = "Starts the embedded platform: router, dashboard and conductor in one process. See bin/up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo", action="store_true", help="push sample apps into a ready pipeline")

    def handle(self, *, demo: bool, **options: Any) -> None:
        started = time.monotonic()
        try:
            with instance.only_one(settings.DATA, settings.PORT):
                if settings.ROUTER_URL == "local:":
                    platform.check_port(settings.BIND, settings.PORT)
                migrate()
                platform.run(lambda: self.ready(started, with_demo=demo))
        except instance.Running as who:
            raise CommandError(
                f"Slipway is running on {settings.DATA} already (process {who}). "
                "Stop it first, or give this one a folder of its own with --data."
            ) from who
        except CannotStart as error:
            raise CommandError(str(error)) from error
        except (OSError, DatabaseError) as error:
            if not space.is_full(error):
                raise
            raise CommandError(
                f"The disk of {settings.DATA} is full: make room, then start again."
            ) from error

    def ready(self, started: float, *, with_demo: bool) -> None:
        """Say where everything is, once it answers."""
        say = self.say
        say("")
        say(
            f"Slipway is up ({time.monotonic() - started:.1f} s). Ctrl-C stops it; data stays in {settings.DATA}."
        )
        say(f"  Dashboard   {settings.URL}/")
        say(f"  Apps        {App(name='<app>').web_url}")
        if not User.objects.can_sign_in().exists():
            say(f"  Sign in     {settings.URL}/setup/{actions.create_sign_in_link()}/")
            say("              (one time; it creates the first account)")
        say("")
        if with_demo:
            demo.make(say)
        connection.close()

    def say(self, text: str) -> None:
        """Print at once, also into a pipe."""
        self.stdout.write(text)
        sys.stdout.flush()


def migrate() -> None:
    """Bring the database to this version, which asks nothing when it is there already."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)
    connection.close()
