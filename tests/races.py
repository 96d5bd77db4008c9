"""Several people at the same instant."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connections

from core.errors import Refusal


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Make `calls` in threads of their own that start together; gives what each returned, or the refusal it met.
    The test must be marked `django_db(transaction=True)`."""
    start = Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        start.wait(10)
        try:
            return call()
        except Refusal as refusal:
            return refusal
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
