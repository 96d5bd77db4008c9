"""Lines as log drains get them."""

import pytest

from engine.spec import Line
from engine.syslog import frame, message

AT = 1764111098.123456


@pytest.mark.parametrize(
    ("source", "dyno", "priority"),
    [("app", "web.1", 190), ("heroku", "router", 158), ("heroku", "web.1", 45), ("heroku", "logplex", 172)],
)
def test_a_message(source, dyno, priority):
    text = message(Line(source, dyno, "grüße".encode(), AT), "host").decode()
    assert text == f"<{priority}>1 2025-11-25T22:51:38.123456+00:00 host {source} {dyno} - grüße"


def test_a_frame_counts_bytes():
    assert frame("grüße".encode()) == "7 grüße".encode()
