"""The router's lines in an app's log."""

import re
import threading
import time

import pytest

from engine.router.lines import MAX_WAITING, RouterLines, quoted
from tests.conftest import eventually
from tests.engine.router_rig import OK, Rig, says

FIELD = re.compile(r'(\w+)=("[^"]*"|\S*)')


async def test_a_line_tells_all_about_a_request():
    async with Rig() as rig:
        await rig.app(says(OK))
        await rig.get("/a?b=c", more=b"X-Request-Id: 0123-4567-89\r\nX-Forwarded-For: 1.2.3.4\r\n")
        line = await rig.line()
        assert rig.lines[0][0] == "app/a1"
    assert re.fullmatch(
        r'at=info method=GET path="/a\?b=c" host=shop\.localhost request_id=0123-4567-89 fwd="1\.2\.3\.4, 127\.0\.0\.1" '
        r"dyno=web\.1 connect=\d+ms service=\d+ms status=200 bytes=2 protocol=http",
        line,
    )


@pytest.mark.promise("I-24")
@pytest.mark.parametrize(
    ("path", "more"),
    [
        ('/"%20at=error%20code=H99%20x="', b""),
        ('/x"status=999', b""),
        ("/back\\slash", b""),
        ("/", b'X-Forwarded-For: 1.1.1.1" status=999 x="\r\n'),
        ("/", b"X-Forwarded-For: 1.1.1.1\tstatus=999\r\n"),
        ("/", b"X-Forwarded-For: \xe2\x80\xa8\x85at=info\r\n"),
        ("/", b"X-Request-Id: aaaaaaaa status=999\r\n"),
        ("/", b'X-Request-Id: "\r\n'),
    ],
)
async def test_no_request_can_forge_a_field_or_a_line(path, more):
    async with Rig() as rig:
        await rig.app(says(OK))
        await rig.get(path, more=more)
        line = await rig.line()
        assert len(rig.lines) == 1
    fields = FIELD.findall(line)
    assert [name for name, _ in fields] == [
        "at", "method", "path", "host", "request_id", "fwd", "dyno", "connect", "service", "status", "bytes", "protocol",
    ]  # fmt: skip
    assert dict(fields)["status"] == "200" and dict(fields)["at"] == "info"
    assert line.isascii() and line.isprintable()
    assert " ".join(f"{name}={value}" for name, value in fields) == line


async def test_the_longest_request_makes_a_line_of_ten_thousand_bytes_at_most():
    async with Rig() as rig:
        await rig.app(says(OK))
        await rig.get('/"' + "x" * 8000, more=b"X-Forwarded-For: " + b'"' * 8000 + b"\r\n")
        assert len(await rig.line()) < 10_000


def test_quoted_values_hold_nothing_that_ends_them():
    assert quoted(b'/a"b\\c\xff') == b'"/a%22b%5Cc%FF"'


@pytest.mark.promise("I-23")
async def test_a_log_that_can_not_follow_drops_lines_and_says_how_many():
    go, got = threading.Event(), []

    def sink(stream, lines):
        go.wait(5)
        got.extend(lines)

    lines = RouterLines(sink)
    lines.start()
    lines.add("app/a1", b"first")
    lines.flush()
    lines._waiting += MAX_WAITING
    for _ in range(3):
        lines.add("app/a1", b"too much")
    lines._waiting -= MAX_WAITING
    go.set()
    lines.add("app/a1", b"last")
    lines.stop()
    assert [line.text for line in got][::2] == [b"first", b"last"]
    assert got[1].text.startswith(b"Error L10 (output buffer overflow): 3 messages dropped since ")


def test_a_sink_that_fails_does_not_stop_the_lines_of_others(caplog):
    got = []

    def sink(stream, lines):
        if stream == "app/bad":
            raise OSError("disk full")
        got.extend(lines)

    lines = RouterLines(sink)
    lines.start()
    lines._flushing = True
    lines.add("app/bad", b"x")
    lines.add("app/good", b"y")
    lines.stop()
    assert [line.text for line in got] == [b"y"]
    assert "1 router lines lost for app/bad" in caplog.text


async def test_a_slow_log_holds_up_no_request():
    go = threading.Event()
    rig = Rig()
    async with rig:
        rig.router.lines.sink = lambda stream, lines: go.wait(5)
        await rig.app(says(OK))
        started = time.monotonic()
        for _ in range(20):
            await rig.get()
        assert time.monotonic() - started < 2
        go.set()
        eventually(lambda: rig.router.lines._waiting == 0)
