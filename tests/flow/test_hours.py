"""Windows by the clocks of a zone, on the days when those are put forward and back."""

from datetime import UTC, datetime, timedelta

import pytest

from flow.hours import changes_at, within

ALL = [0, 1, 2, 3, 4, 5, 6]
MINUTE = timedelta(minutes=1)
FORWARD = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)  # Berlin leaves out 02:00 to 03:00 in the night after
BACK = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)  # and has them twice in that one


def minutes(text):
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def change_by_counting(moment, *window):
    """Minute by minute."""
    at, now = moment, within(moment, *window)
    while within(at, *window) == now:
        at += MINUTE
    return at


@pytest.mark.parametrize("evening", [FORWARD, BACK])
@pytest.mark.parametrize(
    ("begin", "end"),
    [("02:30", "05:00"), ("00:00", "02:30"), ("02:00", "03:00"), ("02:15", "02:45"), ("09:00", "16:00")],
)
def test_a_window_turns_when_the_clocks_say_so(evening, begin, end):
    window = (ALL, minutes(begin), minutes(end), "Europe/Berlin")
    for passed in range(0, 24 * 60, 45):
        moment = evening + passed * MINUTE
        assert changes_at(moment, *window) == change_by_counting(moment, *window), moment


def test_a_zone_that_puts_its_clocks_forward_at_midnight():
    window = ([6], minutes("00:00"), minutes("24:00"), "Africa/Cairo")  # the day begins at one o'clock
    moment = datetime(2026, 4, 23, 12, 0, tzinfo=UTC)
    friday = ([4], *window[1:])
    assert changes_at(moment, *friday) == change_by_counting(moment, *friday)


def test_a_window_that_is_always_open_never_turns():
    assert changes_at(FORWARD, ALL, 0, minutes("24:00"), "Europe/Berlin") is None
