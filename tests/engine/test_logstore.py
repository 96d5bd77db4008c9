"""The log store: gap-free numbers, exact bytes, and what happens when something breaks or overflows."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.logstore import Bucket, LogStore, Query
from engine.spec import Line

STREAM = "app/5a1f7a4e-0000-4000-8000-000000000001"
ROOT = Path(__file__).resolve().parents[2]


def line(text, *, source="app", dyno="web.1", at=None):
    return Line(source, dyno, text if isinstance(text, bytes) else text.encode(), at or time.time())


def lines(*texts, **extra):
    return [line(text, **extra) for text in texts]


@pytest.fixture
def store(tmp_path):
    store = LogStore(tmp_path)
    yield store
    store.close()


def child(code, *args):
    """A process of its own that works on a store."""
    prelude = "import sys, time\nfrom pathlib import Path\nfrom engine.logstore import LogStore\nfrom engine.spec import Line\n"
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code, *map(str, args)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_lines_are_numbered_from_one(store):
    assert store.append(STREAM, lines("a", "b")) == 2
    assert store.append(STREAM, lines("c")) == 3
    assert [(e.offset, e.line.text) for e in store.read(STREAM)] == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert (store.first(STREAM), store.last(STREAM)) == (1, 3)


def test_a_reader_goes_on_after_the_number_it_has(store):
    store.append(STREAM, lines(*map(str, range(1, 5001))))
    seen, after = [], 0
    while found := store.read(STREAM, after=after, limit=700):
        seen += [entry.offset for entry in found]
        after = found[-1].offset
    assert seen == list(range(1, 5001))
    assert store.read(STREAM, after=4999)[0].line.text == b"5000"


def test_an_empty_stream_has_nothing(store):
    assert (store.last(STREAM), store.first(STREAM), store.read(STREAM), store.tail(STREAM, 5)) == (
        0,
        1,
        [],
        [],
    )
    assert not store.ended(STREAM)
    assert store.append(STREAM, []) == 0


@pytest.mark.parametrize("name", ["../etc", "app/../x", "app", "app/", "/app/x", "app/a/b", "app/x\n"])
def test_names_that_could_leave_the_folder_are_refused(store, name):
    with pytest.raises(ValueError):
        store.append(name, lines("x"))


@pytest.mark.promise("I-24")
def test_bytes_come_back_as_they_came(store):
    rng = random.Random(7)
    alphabet = bytes(set(range(256)) - {10})
    texts = [bytes(rng.choices(alphabet, k=rng.randrange(200))) for _ in range(2000)]
    texts += [b"", b" ", b"\r", b"\x00" * 100, b"deadbeef 1 app web.1 forged", b"x" * 10_000]
    at = 1795633227.314537
    store.append(STREAM, lines(*texts, at=at))
    found = store.read(STREAM, limit=5000)
    assert [entry.line.text for entry in found] == texts
    assert found[0].line == Line("app", "web.1", texts[0], at)
    assert b"".join(store.raw(STREAM)) == b"".join(text + b"\n" for text in texts)


@pytest.mark.promise("I-24")
def test_no_text_can_forge_a_line_of_another_source(store):
    store.append(STREAM, [line(b"one\ndeadbeef 1795633227000000 heroku router forged")])
    assert {(e.line.source, e.line.dyno) for e in store.read(STREAM)} == {("app", "web.1")}
    assert store.last(STREAM) == 2


def test_a_dyno_name_can_not_break_a_record(store):
    store.append(STREAM, lines("text", source="a b", dyno="x\ny"))
    assert store.read(STREAM)[0].line.text == b"text"


def test_long_lines_are_cut_into_pieces(store):
    store.append(STREAM, [line(b"x" * 25_000)])
    assert [len(e.line.text) for e in store.read(STREAM)] == [10_000, 10_000, 5_000]


def test_raw_resumes_at_any_byte(store):
    store.append(STREAM, lines("first", "second", "third"))
    whole = b"first\nsecond\nthird\n"
    for start in range(len(whole) + 2):
        assert b"".join(store.raw(STREAM, start)) == whole[start:]


@pytest.mark.promise("I-22")
def test_threads_leave_no_gap_and_no_twin(store):
    def work(name):
        for i in range(200):
            store.append(STREAM, lines(f"{name} {i} a", f"{name} {i} b"))

    threads = [threading.Thread(target=work, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.read(STREAM, limit=10_000)
    assert [e.offset for e in found] == list(range(1, 3201))
    for name in range(8):  # each thread's own lines in its order
        own = [e.line.text for e in found if e.line.text.startswith(b"%d " % name)]
        assert own == [b"%d %d %s" % (name, i, x) for i in range(200) for x in (b"a", b"b")]


@pytest.mark.promise("I-22")
def test_processes_leave_no_gap_and_no_twin(tmp_path):
    code = """
store = LogStore(Path(sys.argv[1]), bytes_per_stream=1 << 20)
for i in range(300):
    last = store.append(sys.argv[2], [Line("app", "web." + sys.argv[3], b"%d" % i, time.time())] * 5)
    print(last)
"""
    workers = [child(code, tmp_path, STREAM, n) for n in range(3)]
    told = [int(n) for worker in workers for n in worker.communicate()[0].split()]
    store = LogStore(tmp_path)
    assert sorted(told) == list(range(5, 4501, 5))
    assert [e.offset for e in store.read(STREAM, limit=9999)] == list(range(1, 4501))


@pytest.mark.promise("I-22")
def test_what_was_acknowledged_outlives_a_killed_writer(tmp_path):
    code = """
store = LogStore(Path(sys.argv[1]))
n = 0
while True:
    n += 1
    store.append(sys.argv[2], [Line("app", "web.1", b"line %d" % n, time.time())])
    print(n, flush=True)
"""
    worker = child(code, tmp_path, STREAM)
    for _ in range(200):
        acknowledged = worker.stdout.readline()
    os.kill(worker.pid, signal.SIGKILL)
    acknowledged = [acknowledged, *worker.stdout.readlines()][-1]
    worker.wait()
    store = LogStore(tmp_path)
    found = store.read(STREAM, limit=100_000)
    assert len(found) >= int(acknowledged)
    assert [e.line.text for e in found] == [b"line %d" % n for n in range(1, len(found) + 1)]
    assert store.append(STREAM, lines("after")) == len(found) + 1


def only_file(root):
    (file,) = (root / STREAM).glob("*.log")
    return file


@pytest.mark.promise("I-22")
def test_a_torn_line_is_cut_off(tmp_path):
    LogStore(tmp_path).append(STREAM, lines("one", "two"))
    with only_file(tmp_path).open("ab") as file:
        file.write(b"1234abcd 17956332270000")
    again = LogStore(tmp_path)
    assert again.last(STREAM) == 2
    assert again.append(STREAM, lines("three")) == 3
    assert [e.line.text for e in again.read(STREAM)] == [b"one", b"two", b"three"]


@pytest.mark.promise("I-22")
def test_what_a_power_cut_left_damaged_is_cut_off(tmp_path):
    LogStore(tmp_path).append(STREAM, lines("one", "two", "three"))
    data = bytearray(only_file(tmp_path).read_bytes())
    at = data.index(b"two")
    data[at : at + 3] = b"\x00\x00\x00"
    only_file(tmp_path).write_bytes(data)
    again = LogStore(tmp_path)
    assert again.append(STREAM, lines("next")) == 2
    assert [e.line.text for e in again.read(STREAM)] == [b"one", b"next"]


@pytest.mark.promise("I-23")
def test_old_lines_go_and_a_line_says_so(tmp_path):
    store = LogStore(tmp_path, bytes_per_stream=64 * 1024)
    for n in range(50):
        store.append(STREAM, lines(*(f"{n} {i} {'x' * 100}" for i in range(20))))
    first = store.first(STREAM)
    assert first > 1
    assert sum(f.stat().st_size for f in (tmp_path / STREAM).iterdir()) <= 64 * 1024
    notice, oldest, *_ = store.read(STREAM)
    assert (notice.offset, oldest.offset) == (first - 1, first)
    assert (notice.line.source, notice.line.dyno) == ("heroku", "logplex")
    assert f"L11 (Tail buffer overflow): {first - 1} messages dropped, lines 1 to {first - 1}." in (
        notice.line.text.decode()
    )
    assert store.read(STREAM, after=first - 1)[0].offset == first
    assert store.read(STREAM, after=first - 3, limit=1)[0].line.text.startswith(b"Error L11")
    assert store.last(STREAM) == 1000
    assert LogStore(tmp_path).tail(STREAM, 2)[1].offset == 1000


@pytest.mark.promise("I-23")
def test_a_flood_is_bounded_and_a_line_says_so(tmp_path):
    store = LogStore(tmp_path, lines_per_second=100)
    store.append(STREAM, lines(*["x"] * 1000))
    kept = store.last(STREAM)
    assert 100 <= kept < 200
    while store.last(STREAM) == kept:  # turned away until some of the next second's share is there
        store.append(STREAM, lines("later"))
    notice, later = store.read(STREAM, after=kept)[:2]
    assert notice.line.source == "heroku"
    assert b"Error L10" in notice.line.text
    assert f"{store.dropped} messages dropped after line {kept}." in notice.line.text.decode()
    assert later.line.text == b"later"


@pytest.mark.promise("I-23")
def test_a_full_disk_loses_lines_but_never_silently(tmp_path):
    store = LogStore(tmp_path)
    store.append(STREAM, lines("before"))
    import resource

    size = only_file(tmp_path).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        assert store.append(STREAM, lines("lost", "lost too")) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert store.append(STREAM, lines("after")) == 3
    texts = [e.line.text for e in store.read(STREAM)]
    assert texts[0::2] == [b"before", b"after"]
    assert texts[1] == b"Error L10 (output buffer overflow): 2 messages dropped after line 1."


@pytest.mark.promise("I-23")
def test_a_stream_that_can_not_be_made_stops_no_dyno(tmp_path):
    store = LogStore(tmp_path / "logs")
    (tmp_path / "logs").write_text("not a folder")
    assert store.append(STREAM, lines("lost")) == 0
    (tmp_path / "logs").unlink()
    assert store.append(STREAM, lines("kept")) == 2
    assert [e.line.text for e in store.read(STREAM)] == [
        b"Error L10 (output buffer overflow): 1 messages dropped after line 0.",
        b"kept",
    ]
    assert store.dropped == 1


def test_a_stream_can_be_complete(store):
    told = []
    store.on_append(lambda stream, last: told.append((stream, last)))
    store.append(STREAM, lines("one"))
    store.end(STREAM)
    assert store.ended(STREAM)
    assert told == [(STREAM, 1), (STREAM, 1)]
    assert store.read(STREAM)[0].line.text == b"one"


def test_a_dropped_stream_starts_anew_in_every_process(tmp_path):
    one, other = LogStore(tmp_path), LogStore(tmp_path)
    one.append(STREAM, lines("old"))
    assert other.last(STREAM) == 1
    other.drop(STREAM)
    assert other.last(STREAM) == 0
    assert one.append(STREAM, lines("new")) == 1
    assert [e.line.text for e in other.read(STREAM)] == [b"new"]


def test_the_tail_can_be_of_one_dyno_or_process_type(store):
    for n in range(300):
        store.append(STREAM, [line(str(n), dyno=f"web.{n % 3}"), line("GET", source="heroku", dyno="router")])
    assert [e.line.text for e in store.tail(STREAM, 2, dyno="web.1")] == [b"295", b"298"]
    assert [e.line.text for e in store.tail(STREAM, 2, dyno="web")] == [b"298", b"299"]
    assert {e.line.dyno for e in store.tail(STREAM, 50, source="heroku")} == {"router"}
    assert store.tail(STREAM, 5, dyno="we") == []
    assert store.tail(STREAM, 5, dyno="router", source="app") == []


def test_search_finds_the_newest_first(store):
    for n in range(2000):
        store.append(STREAM, lines(f"GET /items/{n}", dyno=f"web.{n % 2 + 1}"))
    store.append(STREAM, lines("payment failed: Error 5", "WARN slow"))
    assert [e.offset for e in store.search(STREAM, text="/items/19", limit=3)] == [1998, 1999, 2000]
    assert [e.offset for e in store.search(STREAM, text="/items/7", before=100)] == [8, *range(71, 81)]
    assert store.search(STREAM, text="/items/5", dyno="web.1") == [
        e for e in store.search(STREAM, text="/items/5", limit=9999) if e.line.dyno == "web.1"
    ]
    assert [e.offset for e in store.search(STREAM, level="error")] == [2001]
    assert [e.offset for e in store.search(STREAM, level="warning")] == [2002]
    assert store.search(STREAM, text="web.1") == []  # the text is searched, not what stands before it


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(b"teak 200"), [1, 3]),
        (Query(b"TEAK -web"), [1]),
        (Query(b'"teak 200"'), [1]),
        (Query(b"-teak"), [2, 4]),
        (Query(kinds=("router",)), [2]),
        (Query(kinds=("app", "platform")), [1, 3, 4]),
        (Query(b"up", kinds=("platform",)), [4]),
    ],
)
def test_a_search_is_for_words_and_kinds(store, query, found):
    store.append(STREAM, lines("GET /Teak 200"))
    store.append(STREAM, lines("path=/oak status=200", source="heroku", dyno="router"))
    store.append(STREAM, lines("200 for teak on web.1"))
    store.append(STREAM, lines("State changed to up", source="heroku", dyno="web.1"))
    assert [entry.offset for entry in store.find(STREAM, query).entries] == found


def test_a_search_says_how_far_it_came_and_goes_on_from_there(tmp_path):
    store = LogStore(tmp_path, bytes_per_stream=4 * 1024**2)
    store.append(STREAM, lines("the first"))
    for start in range(0, 20_000, 500):
        store.append(
            STREAM, lines(*(f"line {n} of a long log, with some words" for n in range(start, start + 500)))
        )
    entries, since = store.find(STREAM, Query(b"first"), seconds=1e-9)
    assert entries == [] and 1 < since < 20_001
    steps = 0
    while not entries:
        entries, reached = store.find(STREAM, Query(b"first"), before=since, seconds=1e-9)
        assert reached < since
        since, steps = reached, steps + 1
    assert entries[0].offset == 1 and steps > 3
    assert store.find(STREAM, Query(b"no such words")) == ([], 1)
    store.close()


def test_lines_are_counted_by_when_they_came_and_by_level(tmp_path):
    store = LogStore(tmp_path, bytes_per_stream=64 * 1024)
    now = 1_800_000_015.0
    for minute in range(40, 0, -1):
        store.append(STREAM, [line(f"plain {n}", at=now - minute * 60) for n in range(20)])
    store.append(STREAM, [line(text, at=now) for text in ("an error, a WARNING", "warn", "status=404", "ok")])
    found = store.histogram(STREAM, until=now)
    assert len(found.buckets) == 60 and found.complete
    assert found.buckets[-1] == Bucket(1_800_000_000.0, 4, 2, 1, first=801)
    assert [bucket.lines for bucket in found.buckets[:-1]] == [0, 20] * 29 + [0]
    assert store.read(STREAM, after=found.buckets[1].first - 1)[0].line.at == now - 29 * 60
    store.append(STREAM, [line("panic", at=now + 1)])
    again = store.histogram(STREAM, until=now).buckets[-1]
    assert (again.lines, again.errors) == (5, 2)
    assert LogStore(tmp_path).histogram(STREAM, until=now).buckets[-1] == again
    late = LogStore(tmp_path, bytes_per_stream=64 * 1024).histogram(STREAM, until=now, budget=-1)
    assert late.lines == 0 and not late.complete
    store.close()


def test_many_streams_take_few_files(tmp_path):
    store = LogStore(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for n in range(400):
        store.append(f"build/{n}", lines("x"))
    assert len(os.listdir("/proc/self/fd")) - before <= 2 * 256 + 8
    assert store.append("build/0", lines("y")) == 2
    store.close()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_a_listener_that_fails_does_no_harm(store):
    store.on_append(lambda stream, last: 1 / 0)
    assert store.append(STREAM, lines("x")) == 1


def test_the_fail_point_stands_between_the_write_and_its_acknowledgement(tmp_path):
    reached = []
    store = LogStore(tmp_path, reach=lambda name: reached.append((name, store.last(STREAM))))
    store.append(STREAM, lines("x"))
    assert reached == [("log.batch_written", 1)]
