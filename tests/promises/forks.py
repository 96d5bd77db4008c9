"""Conductors as processes that are there at once: forked off one that has loaded everything, has a single thread, and is
connected to nothing. To start `manage.py conduct` anew for each costs seconds."""

import importlib
import multiprocessing
import os
import sys
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[2]
SERVER = multiprocessing.get_context("forkserver")


class Fork:
    """One that runs `manage.py conduct` in this environment; what it says goes to `log`. Asked as a `Popen` is."""

    def __init__(self, environment, log):
        SERVER.set_forkserver_preload(["pytest", "tests.promises.loaded"])
        with mock.patch.dict(os.environ, {**environment, "PYTHONPATH": str(ROOT)}, clear=True):
            forkserver.ensure_running()
        self._process = SERVER.Process(target=_conduct, args=(environment, str(log)), daemon=True)
        self._process.start()
        self.pid = self._process.pid

    def wait(self, seconds):
        """What it ended with; None when it has not."""
        self._process.join(seconds)
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def send_signal(self, number):
        os.kill(self.pid, number)


def _conduct(environment, log):
    """In the fork: with settings of its own, which are read from the environment."""
    os.environ.clear()
    os.environ.update(environment)
    with open(log, "ab", buffering=0) as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)

    from django.conf import settings
    from django.core.management import call_command
    from django.utils.functional import empty

    importlib.reload(sys.modules["config.settings"])
    settings._wrapped = empty
    settings._setup()
    call_command("conduct")
