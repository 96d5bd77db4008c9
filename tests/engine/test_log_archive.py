"""What a stream keeps beyond the usual, and finding lines by their time."""

import os
import time

import pytest

from engine.logstore import Held, Keep, LogStore, Query
from tests.engine.test_logstore import STREAM, child, line

USUAL = 64 * 1024
MORE = Keep(size=4 * USUAL, days=7)


@pytest.fixture
def store(tmp_path):
    store = LogStore(tmp_path, bytes_per_stream=USUAL)
    yield store
    store.close()


def fill(store, count, at=1000.0):
    """`count` lines of about 100 bytes, one each second from `at` on."""
    for i in range(0, count, 20):
        store.append(STREAM, [line(f"{n} ".ljust(60, "x"), at=at + n) for n in range(i, min(i + 20, count))])


def size(store):
    return sum(path.stat().st_size for path in (store.root / STREAM).glob("*.log"))


def test_more_is_kept_up_to_its_size(store):
    fill(store, 1000)
    assert size(store) <= USUAL
    store.keep(STREAM, MORE)
    first = store.first(STREAM)
    fill(store, 1500)
    assert store.first(STREAM) == first and 2 * USUAL < size(store) <= MORE.size
    fill(store, 5000)
    assert store.first(STREAM) > first and size(store) <= MORE.size
    assert store.held(STREAM) == Held(
        size(store), store.read(STREAM, after=store.first(STREAM) - 1)[0].line.at
    )


def test_more_is_kept_for_its_days_but_never_less_than_usual(store):
    store.keep(STREAM, MORE)
    fill(store, 2000)
    old = time.time() - 8 * 86_400
    for path in (store.root / STREAM).glob("*.log"):
        os.utime(path, (old, old))
    store.keep(STREAM, MORE)
    assert USUAL // 2 < size(store) <= USUAL
    fill(store, 10)
    assert store.last(STREAM) == 2010


def test_the_end_of_it_is_seen_by_every_process(store, tmp_path):
    store.keep(STREAM, MORE)
    fill(store, 2000)
    other = LogStore(tmp_path, bytes_per_stream=USUAL)
    assert other.first(STREAM) == 1
    code = f"LogStore(Path(sys.argv[1]), bytes_per_stream={USUAL}).keep(sys.argv[2], None)"
    assert child(code, tmp_path, STREAM).wait(20) == 0
    first = other.first(STREAM)
    assert first > 1 and size(store) <= USUAL
    assert [entry.offset for entry in other.read(STREAM, after=first - 1, limit=2)] == [first, first + 1]
    assert other.append(STREAM, [line("on")]) == store.append(STREAM, [line("and on")]) - 1
    other.close()


def test_another_process_keeps_more_as_well(store, tmp_path):
    store.keep(STREAM, MORE)
    code = (
        "from engine.spec import Line\n"
        f"store = LogStore(Path(sys.argv[1]), bytes_per_stream={USUAL})\n"
        "for _ in range(100): store.append(sys.argv[2], [Line('app', 'web.1', b'x' * 60, 1.0)] * 20)"
    )
    assert child(code, tmp_path, STREAM).wait(20) == 0
    assert store.first(STREAM) == 1 and store.last(STREAM) == 2000


def test_what_nobody_wrote_to_is_made_ready_and_forgotten(store):
    store.keep(STREAM, None)
    assert not (store.root / STREAM).exists() and store.held(STREAM) == Held(0, None)
    store.keep(STREAM, MORE)
    assert (store.first(STREAM), store.last(STREAM)) == (1, 0)
    store.drop(STREAM)
    fill(store, 2000)
    assert size(store) <= USUAL


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"since": 2500}, (2500, 2999)),
        ({"until": 1002}, (1000, 1002)),
        ({"since": 1600, "until": 1700}, (1600, 1700)),
        ({"since": 2998.5}, (2999, 2999)),
        ({"since": 5000}, None),
        ({"until": 999}, None),
    ],
)
def test_lines_are_found_by_their_time(store, asked, found):
    store.keep(STREAM, MORE)
    fill(store, 2000)
    times = [entry.line.at for entry in store.find(STREAM, Query(**asked), limit=5000).entries]
    assert (found is None and times == []) or (times[0], times[-1], len(times)) == (
        *found,
        found[1] - found[0] + 1,
    )


def test_a_line_that_came_late_is_found_by_its_time(store):
    store.keep(STREAM, MORE)
    fill(store, 2000)
    store.append(STREAM, [line("late", at=2600.0)])
    assert store.find(STREAM, Query(b"late", since=2590, until=2610)).entries[0].offset == 2001


def test_a_search_by_time_says_that_it_is_done(store):
    store.keep(STREAM, MORE)
    fill(store, 2000)
    found = store.find(STREAM, Query(b"nothing-like-it", since=2500), seconds=5)
    assert found == ([], 1)
