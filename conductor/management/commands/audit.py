import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from conductor.audit import audit


class Command(BaseCommand):
    help = (
        "Compares database, repositories, slugs, logs and processes; exit status 1 when a promise is broken."
    )
    requires_system_checks = ()  # they load every page: a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="answer for programs")

    def handle(self, *, json: bool, **options: Any) -> None:
        found = audit()
        self.stdout.write(_json(found) if json else _text(found))
        if found["violations"]:
            raise CommandError(f"{len(found['violations'])} violations", returncode=1)


def _json(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=2)


def _text(found: dict[str, Any]) -> str:
    lines = [f"{v['promise']}  {v['object']}: {v['message']}" for v in found["violations"]]
    where = "beside a running conductor" if found["running"] else "without a running conductor"
    return "\n".join([*lines, f"{found['checks']} checks {where}, {len(lines)} violations."])
