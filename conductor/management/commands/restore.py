import sys
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError

from conductor.backups.restore import Restored, check, restore
from core.errors import Refusal


class Command(BaseCommand):
    help = "Puts a backup into an empty data folder and database; the platform must be stopped."
    requires_migrations_checks = False
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="the file of a backup, or - for standard input")
        parser.add_argument("--check", action="store_true", help="read and verify it, change nothing")
        parser.add_argument(
            "--over", action="store_true", help="replace what is there; files are moved aside"
        )

    def handle(self, *, source: str, check: bool, over: bool, **options: Any) -> None:
        try:
            with ExitStack() as stack:
                file: BinaryIO = (
                    sys.stdin.buffer if source == "-" else stack.enter_context(Path(source).open("rb"))
                )
                done = _check(file) if check else restore(file, over=over)
        except (Refusal, OSError) as error:
            raise CommandError(str(error)) from error
        self._tell(done, verb="Whole" if check else "Restored")
        if not check:
            self.stdout.write("Start Slipway, then see that `manage.py audit` finds nothing.")

    def _tell(self, done: Restored, *, verb: str) -> None:
        counts = ", ".join(f"{done.counts.get(name, 0)} {word}" for name, word in WORDS.items())
        self.stdout.write(
            f"{verb}: made {done.made} by Slipway {done.slipway}; {counts}; {done.bytes:,} bytes."
        )
        for name in done.lost[:20]:
            self.stderr.write(f"Not restored: {name} of the storages.")
        if done.aside:
            self.stdout.write(f"What was there before is in {done.aside}; delete it when you don't need it.")


WORDS = {
    "repos": "repositories",
    "slugs": "slugs",
    "sources": "sources",
    "logs": "log files",
    "volumes": "storages",
}
_check = check
