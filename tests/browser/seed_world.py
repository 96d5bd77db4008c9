"""The world of tests.world, and a file that says how to address it: run as tests.browser.seed is."""

import json

import django

django.setup()
# ruff: noqa: E402 - models can be imported only now

from django.conf import settings
from django.core.management import call_command
from django.test import Client

from tests.world import LOOKING, World, sign_in

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    world = World(3)
    found = {
        "cookie": settings.SESSION_COOKIE_NAME,
        "names": {name: str(value) for name, value in world.names.items()},
        "sessions": {who: sign_in(Client(), getattr(world, who)) for who in LOOKING},
    }
    (settings.DATA / "world.json").write_text(json.dumps(found))
