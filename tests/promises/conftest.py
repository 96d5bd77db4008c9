"""A conductor as a process of its own, on the tests' database, to be killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection

from apps import logs
from conductor.audit import audit
from releases import slugs
from tests.conductor.conftest import Stage, data, platform, source, stage  # noqa: F401
from tests.ports import free_port
from tests.promises.forks import ROOT, Fork


class Outside:
    """`manage.py conduct` and what tests ask of it. It has the tests' database and a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder
        self.stage = Stage(folder)
        self.port = free_port()
        self.process = None

    def environment(self, **extra):
        return {
            **{name: value for name, value in os.environ.items() if name != "FAILPOINTS"},
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SLIPWAY_DATA": str(self.data),
            "SLIPWAY_PORT": str(self.port),
            "SLIPWAY_STOP_SECONDS": "2",
            "SLIPWAY_SWEEP_SECONDS": "0.5",
            "SLIPWAY_HEARTBEAT_SECONDS": "1",
            "SLIPWAY_LEASE_SECONDS": "3",
            "SLIPWAY_FAILPOINTS": "1",
            "SLIPWAY_KEYS": ",".join(django_settings.SLIPWAY_KEYS),
            "DATABASE_URL": database_url(),
            **extra,
        }

    def manage(self, *arguments, **extra):
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment(**extra),
            capture_output=True,
            text=True,
            timeout=180,
        )

    def start(self, failpoints=""):
        self.process = Fork(self.environment(FAILPOINTS=failpoints), self.data / "conduct.log")
        return self.process

    def log(self):
        return (self.data / "conduct.log").read_text()

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)

    def audit(self):
        """What the auditor finds. In this process, which is faster than in one of its own."""
        return audit()["violations"]


def database_url():
    at = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{at['NAME']}"
    return f"postgres://{at['USER']}:{at['PASSWORD']}@{at['HOST']}:{at['PORT']}/{at['NAME']}"


@pytest.fixture
def outside(transactional_db, data):  # noqa: F811
    outside = Outside(data)
    for store in (logs.store, slugs.store):
        store.cache_clear()
    yield outside
    outside.stop(signal.SIGKILL)
    for store in (logs.store, slugs.store):
        store.cache_clear()
