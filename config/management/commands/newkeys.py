from typing import Any

from django.core.management.base import BaseCommand

from config.keys import new_keys


class Command(BaseCommand):
    help = "Prints a fresh set of keys, for DATA/keys.env or the environment of a new instance."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(new_keys(), ending="")
