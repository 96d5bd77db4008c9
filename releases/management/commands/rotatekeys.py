from typing import Any

from django.core.management.base import BaseCommand

from core import secrets
from releases import rotation


class Command(BaseCommand):
    help = "Seals every config value with the first key of SLIPWAY_KEYS; afterwards the other keys can be taken away."
    requires_system_checks = ()  # they load every page: a second

    def handle(self, *args: Any, **options: Any) -> None:
        count = rotation.rotate()
        left = rotation.keys_in_use() - {secrets.current_key()}
        self.stdout.write(f"Sealed {count} values with the key {secrets.current_key()}.")
        if left:
            self.stdout.write(f"Still in use: {', '.join(sorted(left))}. Run this once more.")
