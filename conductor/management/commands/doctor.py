import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from conductor import doctor
from conductor.doctor.finding import PROBLEM

MARKS = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}


class Command(BaseCommand):
    help = "Looks at what Slipway stands on and says what to do; exit status 1 when there is a problem."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *, json: bool, **options: Any) -> None:
        found = doctor.examine()
        if json:
            self.stdout.write(_json([asdict(finding) for finding in found]))
        else:
            for finding in found:
                self.stdout.write(f"{MARKS[finding.state]}  {finding.name}: {finding.text}")
                if finding.advice:
                    self.stdout.write(f"{'':9}{finding.advice}")
        if any(finding.state == PROBLEM for finding in found):
            sys.exit(1)


def _json(found: list[dict[str, str]]) -> str:
    return json.dumps({"findings": found, "ok": all(row["state"] != PROBLEM for row in found)}, indent=2)
