import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from conductor.status import processes


class Command(BaseCommand):
    help = "Lists the platform's own processes: role, pid, state, lease."
    requires_system_checks = ()  # they load every page: a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="answer for programs")

    def handle(self, *, json: bool, **options: Any) -> None:
        rows = processes()
        if json:
            self.stdout.write(_json(rows))
            return
        for row in rows:
            lease = f"  lease until {row['lease']}" if row["lease"] else ""
            work = f"  {row['work']}" if row["work"] else ""
            self.stdout.write(
                f"{row['role']:<10} {row['pid'] or '-':>8}  {row['state']:<8} {row['host']}{lease}{work}"
            )


def _json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, indent=2)
