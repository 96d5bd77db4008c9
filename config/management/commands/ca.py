from typing import Any

from django.core.management.base import BaseCommand

from config.tls import local_ca


class Command(BaseCommand):
    help = "Prints the path of the local certificate authority's certificate, made at the first call."
    requires_system_checks = ()  # they load every page: a second

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(str(local_ca().certificate))
