"""Promise I-25 by chance: whatever a backend does, each request has one whole answer, one clean error, or an end."""

import asyncio
import random

import pytest

from tests.engine.router_rig import Rig, header, read_head, until

BODY = b"0123456789" * 30
ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12c\r\n%b\r\n0\r\n\r\n" % BODY,
    b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
]


def misbehaving(dice, counts):
    """A script that answers well, in pieces, cut short, damaged, or not at all."""

    async def script(head, reader, writer):
        number = int(head.split(b" ")[1][1:])
        counts[number] = counts.get(number, 0) + 1
        length = header(head, "content-length")
        if length and dice.random() < 0.8:
            await reader.readexactly(int(length[0]))
        answer = dice.choice(ANSWERS)
        cut = dice.randrange(len(answer)) if dice.random() < 0.4 else len(answer)
        if dice.random() < 0.1:
            spot = dice.randrange(len(answer))
            answer = answer[:spot] + bytes([dice.randrange(256)]) + answer[spot + 1 :]
        at = 0
        while at < cut:
            step = dice.randint(1, 200)
            writer.write(answer[at : min(at + step, cut)])
            at += step
            if dice.random() < 0.5:
                await asyncio.sleep(0)
        if cut < len(answer) or dice.random() < 0.2:
            if dice.random() < 0.5:
                writer.transport.abort()
            return False

    return script


async def one_request(rig, number, dice):
    """Returns what became of it: the answer's status, or 0 for an end."""
    reader, writer = await rig.open()
    method = dice.choice([b"GET", b"POST"])
    body = b"x" * dice.choice([0, 1, 100_000]) if method == b"POST" else b""
    more = b"Content-Length: %d\r\n" % len(body) if method == b"POST" else b""
    writer.write(
        b"%b /%d HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n%b\r\n" % (method, number, more)
        + body
    )
    try:
        raw = await reader.read(-1)
    except ConnectionError:
        raw = b""
    writer.close()
    while raw.startswith(b"HTTP/1.1 1"):
        raw = raw.partition(b"\r\n\r\n")[2]
    return raw


@pytest.mark.promise("I-25")
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_one_answer_or_a_clean_error_whatever_the_backend_does(seed):
    dice, counts = random.Random(seed), {}
    async with Rig(idle=1, first_byte=1) as rig:
        await rig.app(misbehaving(dice, counts))
        whole = broken = 0
        for start in range(0, 300, 20):
            batch = [one_request(rig, start + i, dice) for i in range(20)]
            for raw in await asyncio.wait_for(asyncio.gather(*batch), 20):
                head, _, body = raw.partition(b"\r\n\r\n")
                assert raw.count(b"Via: 1.1 slipway") <= 1, raw  # never two answers
                if raw.startswith(b"HTTP/1.1 503 ") and b"Via" not in head:
                    assert len(body) == int(header(head + b"\r\n", "content-length")[0])
                    broken += 1
                elif body == BODY or body == b"12c\r\n%b\r\n0\r\n\r\n" % BODY:
                    whole += 1
                else:
                    broken += 1
        assert whole > 100 and broken > 30
        assert max(counts.values()) == 1  # no request was read twice by the app
        await until(lambda: len(rig.lines) == 300)  # and each has its one line
        assert rig.router.in_flight("a1-0") == 0
        await until(lambda: not rig.router.fronts)


async def test_a_client_that_breaks_off_anywhere_leaves_nothing_behind():
    raw = (
        b"POST /1 HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )

    async def script(head, reader, writer):
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with Rig() as rig:
        dyno = await rig.app(script)
        for cut in range(len(raw)):
            _, writer = await rig.open()
            writer.write(raw[:cut])
            await writer.drain()
            (writer.close if cut % 2 else writer.transport.abort)()
        reader, writer = await rig.open()
        writer.write(raw)
        assert (await read_head(reader)).startswith(b"HTTP/1.1 200")
        writer.close()
        await until(lambda: not rig.router.fronts)
        assert rig.router.in_flight("a1-0") == 0
        pool = rig.router.table.pools["a1-0"]
        await until(lambda: len(dyno.open) == len(pool.unused))  # nothing but what is kept for the next
