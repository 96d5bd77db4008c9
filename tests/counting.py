"""What threads ask of the database and which processes they start, counted beside the work itself."""

import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db.backends import utils


@dataclass
class Counted:
    """By the names of the threads that did it: statements of SQL, and command lines."""

    queries: list[tuple[str, str]] = field(default_factory=list)
    processes: list[tuple[str, str]] = field(default_factory=list)

    def asked_by(self, thread, *, but=()):
        """The statements of threads whose names begin so, without those that hold a word of `but`."""
        return [
            sql
            for name, sql in self.queries
            if name.startswith(thread) and not any(word in sql for word in but)
        ]

    def started(self, *, but=()):
        """The command lines of what others than the test's own thread started."""
        mine = threading.main_thread().name
        return [
            line for name, line in self.processes if name != mine and not any(word in line for word in but)
        ]


@contextmanager
def counting(monkeypatch):
    """Count in every thread until the block ends."""
    counted = Counted()
    execute, start = utils.CursorWrapper.execute, subprocess.Popen.__init__

    def ask(self, sql, params=None):
        counted.queries.append((threading.current_thread().name, sql))
        return execute(self, sql, params)

    def begin(self, args, *more, **options):
        counted.processes.append((threading.current_thread().name, " ".join(map(str, args))))
        return start(self, args, *more, **options)

    with monkeypatch.context() as patched:
        patched.setattr(utils.CursorWrapper, "execute", ask)
        patched.setattr(subprocess.Popen, "__init__", begin)
        yield counted
