from typing import Any

from django.core.management.commands.migrate import Command as Migrate
from django.db import connections

from config.schema import lay_at_once


class Command(Migrate):
    """Django's, which gives an empty database its schema at once."""

    def add_arguments(self, parser: Any) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--one-by-one", action="store_true", help="Play every migration, on an empty database too."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        whole = not any(options[name] for name in ("app_label", "fake", "plan", "check_unapplied", "prune"))
        laid = whole and not options["one_by_one"] and lay_at_once(connections[options["database"]])
        if laid and options["verbosity"] > 0:
            self.stdout.write("The database was empty: laid the whole schema at once.")
        super().handle(*args, **options)
