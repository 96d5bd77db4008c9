"""Nudges about new log lines: the first at once, the rest few, the last never left out."""

import threading
import time
import uuid

import pytest

from apps import logs
from core import live
from engine.spec import Line
from tests.conftest import eventually


@pytest.fixture
def told():
    heard = []
    stop = live.listen(lambda topic: heard.append((time.monotonic(), topic)))
    yield heard
    stop()


def append(stream, text=b"x"):
    return logs.store().append(stream, [Line("app", "web.1", text, time.time())])


def test_the_first_line_of_a_quiet_spell_is_told_at_once(told):
    stream = f"app/{uuid.uuid4()}"
    start = time.monotonic()
    append(stream)
    times = eventually(lambda: [at for at, topic in told if topic == f"log:{stream}"], every=0.001)
    assert times[0] - start < 1  # 0.2 ms on a quiet machine


def test_a_flood_of_lines_is_a_trickle_of_nudges(told):
    streams = [f"app/{uuid.uuid4()}" for _ in range(3)]
    start, last = time.monotonic(), {}

    def pour(stream):
        while time.monotonic() - start < 0.5:
            last[stream] = time.monotonic()
            append(stream)

    threads = [threading.Thread(target=pour, args=[stream]) for stream in streams for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end = time.monotonic()
    for stream in streams:
        eventually(
            lambda stream=stream: any(t > end - 0.05 and topic == f"log:{stream}" for t, topic in told)
        )
        times = [t for t, topic in told if topic == f"log:{stream}"]
        assert 1 < len(times) <= (times[-1] - start) / logs.NUDGE_SECONDS + 2
