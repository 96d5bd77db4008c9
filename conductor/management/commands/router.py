import os
import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from conductor import fronts
from engine.proxy import Folder

PLACES = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin"


class Command(BaseCommand):
    help = "Writes what HAProxy starts from, for ROUTER_URL=haproxy:///FOLDER, and becomes HAProxy."
    requires_system_checks = ()  # they load every page: a second

    def handle(self, **options: Any) -> None:
        folder = settings.ROUTER_URL.removeprefix(fronts.PROXY)
        if folder == settings.ROUTER_URL:
            raise CommandError(f"ROUTER_URL is {settings.ROUTER_URL}; set it to haproxy:///FOLDER")
        program = shutil.which("haproxy", path=PLACES)
        if program is None:
            raise CommandError("HAProxy is not installed: apt-get install haproxy")
        files = Folder(Path(folder))
        fronts.write(files)
        words = ["-W", "-S", f"{files.master},mode,600", "-f", str(files.config), "-f", str(files.backends)]
        os.execv(program, [program, *words])  # noqa: S606  # the very point of it
