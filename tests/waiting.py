"""Waiting for what others do."""

import time
from collections.abc import Callable


def eventually(check: Callable[[], object], seconds: float = 10, every: float = 0.02) -> object:
    """Wait until `check()` is truthy and return that; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value or time.monotonic() > deadline:
            assert value, f"still not true after {seconds} s"
            return value
        time.sleep(every)
