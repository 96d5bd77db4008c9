"""Waiting for what others do."""

import time
from collections.abc import Callable

SLACK = 3  # the seconds that tests name are an idle machine's; a loaded one may take as many times that


def eventually(check: Callable[[], object], seconds: float = 10, every: float = 0.02) -> object:
    """Wait until `check()` is truthy and return that; fails where it takes longer than `seconds` by far."""
    deadline = time.monotonic() + seconds * SLACK
    while True:
        value = check()
        if value or time.monotonic() > deadline:
            assert value, f"still not true after {seconds * SLACK} s"
            return value
        time.sleep(every)
