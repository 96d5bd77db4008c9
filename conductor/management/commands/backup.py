import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from conductor.backups import history
from conductor.backups.make import Made, make, make_file
from core.errors import Refusal


class Command(BaseCommand):
    help = "Writes a backup of the platform, while it runs: database, repositories, slugs, sources, logs. No keys."
    requires_system_checks = ()  # they load every page: a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "to",
            nargs="?",
            default="",
            help="a file, or - for standard output; default: a new file in the backups",
        )
        parser.add_argument("--without-logs", action="store_true", help="leave log lines out")

    def handle(self, *, to: str, without_logs: bool, **options: Any) -> None:
        try:
            if to == "-":
                self._pipe(logs=not without_logs)
                return
            target = Path(to).absolute() if to else history.folder() / history.new_name()
            if target.exists():
                raise CommandError(f"{target} is there already. Choose another name.")
            made = make_file(target, logs=not without_logs)
        except (Refusal, OSError) as error:
            raise CommandError(str(error)) from error
        self._warn(made)
        self.stdout.write(
            f"{target}: {target.stat().st_size:,} bytes, {made.repositories} repositories, "
            f"{made.seconds:.1f} s; read again and found whole. It holds no key: keep a copy of the keys elsewhere."
        )

    def _pipe(self, *, logs: bool) -> None:
        if sys.stdout.isatty():
            raise CommandError(
                "A backup is no text. Send it into a file or a program: manage.py backup - | …"
            )
        made = make(sys.stdout.buffer, logs=logs)
        sys.stdout.buffer.flush()
        history.note(made.at, file="", bytes=made.bytes, seconds=made.seconds)
        self._warn(made)

    def _warn(self, made: Made) -> None:
        for name in made.missing[:20]:
            self.stderr.write(
                f"Missing before this backup already: {name}. `manage.py audit` says what needs it."
            )
