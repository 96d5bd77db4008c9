import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from conductor.backups import history
from conductor.backups.make import Made, make, make_file
from core.errors import Refusal


class Command(BaseCommand):
    help = "Writes a backup of the platform, while it runs: database, repositories, slugs, sources, logs, storages. No keys."
    requires_system_checks = ()  # they load every page: a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "to",
            nargs="?",
            default="",
            help="a file, or - for standard output; default: a new file in the backups",
        )
        parser.add_argument("--without-logs", action="store_true", help="leave log lines out")

        parser.add_argument("--without-storage", action="store_true", help="leave the files of storages out")

    def handle(self, *, to: str, without_logs: bool, without_storage: bool, **options: Any) -> None:
        parts = {"logs": not without_logs, "storage": settings.BACKUP_STORAGE and not without_storage}
        try:
            if to == "-":
                self._pipe(**parts)
                return
            target = Path(to).absolute() if to else history.folder() / history.new_name()
            if target.exists():
                raise CommandError(f"{target} is there already. Choose another name.")
            made = make_file(target, **parts)
        except (Refusal, OSError) as error:
            raise CommandError(str(error)) from error
        self._warn(made)
        self.stdout.write(
            f"{target}: {target.stat().st_size:,} bytes, {made.repositories} repositories, "
            f"{made.storage.volumes} storages with {made.storage.files:,} files of {made.storage.bytes:,} bytes, "
            f"{made.seconds:.1f} s; read again and found whole. It holds no key: keep a copy of the keys elsewhere."
        )

    def _pipe(self, **parts: bool) -> None:
        if sys.stdout.isatty():
            raise CommandError(
                "A backup is no text. Send it into a file or a program: manage.py backup - | …"
            )
        made = make(sys.stdout.buffer, **parts)
        sys.stdout.buffer.flush()
        history.note(made.at, file="", bytes=made.bytes, seconds=made.seconds)
        self._warn(made)

    def _warn(self, made: Made) -> None:
        for name in made.missing[:20]:
            self.stderr.write(
                f"Missing before this backup already: {name}. `manage.py audit` says what needs it."
            )
        for name in made.storage.left_out[:20]:
            self.stderr.write(f"Not in this backup, since it can't be read: {name} of the storages.")
        if more := len(made.storage.left_out[20:]):
            self.stderr.write(f"And {more} more files of storages.")
