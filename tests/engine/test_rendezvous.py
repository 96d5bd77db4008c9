"""Clients that meet their one-off dyno on the router's port, over real TLS and real pipes and terminals."""

import asyncio
import os
import ssl
from contextlib import suppress

import pytest

from engine.drivers.streams import Streams
from engine.rendezvous import GREETING, MARK, Guest
from engine.spec import Attach
from engine.tls import LocalCA
from tests.engine.router_rig import Rig, until

SECRET = "rendezvous-abc"


class Stage:
    """A router whose one guest are the streams of a process that the test plays."""

    def __init__(self, folder, attach):
        self.ca = LocalCA(folder, permitted=["localhost"])
        self.streams = Streams(attach)
        self.theirs = [os.dup(fd) for fd in self.streams.theirs]
        self.streams.started()
        self.left = 0
        self.welcome, self.is_person = True, False
        self.rig = Rig()
        self.rig.options = {"ca": self.ca, "find_guest": self.find}

    def find(self, secret):
        ours = self.streams.take() if secret == SECRET else None
        if ours is None:
            raise LookupError("This address was used already.")
        return Guest(ours, self.leave, lambda: self.welcome, self.is_person)

    def leave(self):
        self.left += 1

    async def meet(self, secret=SECRET):
        context = ssl.create_default_context(cafile=str(self.ca.certificate))
        reader, writer = await self.rig.open(ssl=context, server_hostname="localhost")
        writer.write(secret.encode() + b"\r\n")
        assert await reader.readexactly(len(GREETING)) == GREETING
        return reader, writer

    def end(self):
        for fd in set(self.theirs):
            os.close(fd)


@pytest.fixture
def stage(tmp_path):
    return lambda tty=False: Stage(tmp_path, Attach(tty=tty))


async def test_both_directions_pass_as_they_are(stage):
    s = stage()
    async with s.rig:
        reader, writer = await s.meet()
        writer.write(b"\x00in\xff")
        assert await asyncio.to_thread(os.read, s.theirs[0], 100) == b"\x00in\xff"
        os.write(s.theirs[1], b"\x01out\xfe")
        assert await reader.readexactly(5) == b"\x01out\xfe"
        s.end()
        assert await reader.read() == b""  # the end of the dyno is the end of the meeting
    assert s.left == 1


@pytest.mark.parametrize("tty", [False, True])
async def test_a_dyno_that_ends_first_leaves_its_client_time_to_say_that_input_is_over(
    stage, monkeypatch, tty
):
    """The CLI fails when it can't, with a terminal in the dyno or without."""
    monkeypatch.setattr("engine.rendezvous.FAREWELL_AFTER_GREETING_SECONDS", 60)
    s = stage(tty=tty)
    async with s.rig:
        reader, writer = await s.meet()
        s.end()
        await until(lambda: s.left)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(), 0.3)
        writer.write(b"\x04")
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_person_at_a_terminal_need_not_say_so(stage, monkeypatch):
    monkeypatch.setattr("engine.rendezvous.FAREWELL_SECONDS", 60)
    s = stage(tty=True)
    s.is_person = True
    async with s.rig:
        reader, _ = await s.meet()
        s.end()
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_secret_without_a_line_break_will_do(stage):
    """heroku3 sends none."""
    s = stage()
    async with s.rig:
        context = ssl.create_default_context(cafile=str(s.ca.certificate))
        reader, writer = await s.rig.open(ssl=context, server_hostname="localhost")
        writer.write(SECRET.encode())
        assert await reader.readexactly(len(GREETING)) == GREETING
        os.write(s.theirs[1], b"out")
        assert await reader.readexactly(3) == b"out"
        s.end()
        assert await reader.read() == b""


@pytest.mark.promise("I-31")
async def test_who_may_not_stay_is_shown_out(stage, monkeypatch):
    monkeypatch.setattr("engine.rendezvous.CHECK_SECONDS", 0.05)
    s = stage()
    async with s.rig:
        reader, _ = await s.meet()
        os.write(s.theirs[1], b"secret")
        assert await reader.readexactly(6) == b"secret"
        s.welcome = False
        with suppress(ConnectionError, ssl.SSLError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        await until(lambda: s.left == 1)
        s.end()


async def test_the_greeting_is_a_record_of_its_own(stage):
    """The CLI throws its first piece of data away, whatever else is in it."""
    s = stage()
    os.write(s.theirs[1], b"early")
    async with s.rig:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=str(s.ca.certificate))
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        reader, writer = await s.rig.open()

        async def attempt(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))

        await attempt(tls.do_handshake)
        tls.write(SECRET.encode() + b"\r\n")
        assert await attempt(lambda: tls.read(65536)) == GREETING
        assert await attempt(lambda: tls.read(65536)) == b"early"
        writer.transport.abort()  # this client says no goodbye, and half a minute would be waited for one
        s.end()


async def test_an_eot_at_the_end_is_the_end_of_input_and_one_inside_is_not(stage):
    s = stage()
    async with s.rig:
        _, writer = await s.meet()
        writer.write(b"one\x04")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"two\n")
        await writer.drain()
        writer.write(b"\x04")
        got = b""
        while data := await asyncio.to_thread(os.read, s.theirs[0], 100):
            got += data
        assert got == b"one\x04two\n"
        s.end()


async def test_input_waits_for_a_dyno_that_does_not_read(stage):
    s = stage()
    async with s.rig:
        _, writer = await s.meet()
        sent = os.urandom(1 << 20).replace(b"\x04", b"\x05")
        writer.write(sent + b"\x04")
        got = b""
        while data := await asyncio.to_thread(os.read, s.theirs[0], 65536):
            got += data
        assert got == sent
        s.end()


async def test_output_waits_for_a_client_that_does_not_read(stage):
    s = stage()
    async with s.rig:
        reader, _ = await s.meet()
        sent = os.urandom(1 << 22).replace(MARK[:1], b"x")
        written = asyncio.create_task(asyncio.to_thread(lambda: [os.write(s.theirs[1], sent), s.end()]))
        assert await reader.read() == sent
        await written


async def test_the_mark_of_an_exit_status_comes_in_one_piece(stage):
    s = stage()
    async with s.rig:
        reader, _ = await s.meet()
        os.write(s.theirs[1], b"last words" + MARK[:2])
        assert await reader.read(100) == b"last words"
        os.write(s.theirs[1], MARK[2:] + b" heroku-command-exit-")
        await asyncio.sleep(0.05)
        os.write(s.theirs[1], b"status: 3\n")
        assert await reader.read(100) == MARK + b" heroku-command-exit-status: 3\n"
        os.write(s.theirs[1], MARK + b" and no more")
        s.end()
        assert await reader.read() == MARK + b" and no more"


async def test_a_client_that_goes_hangs_up(stage):
    s = stage(tty=True)
    async with s.rig:
        _, writer = await s.meet()
        writer.transport.abort()
        await until(lambda: s.left)
        with pytest.raises(OSError):
            os.write(s.theirs[0], b"is anybody there?")
        s.end()


async def test_a_secret_works_once_and_others_are_told(stage):
    s = stage()
    async with s.rig:
        await s.meet()
        for secret in (SECRET, "rendezvous-wrong"):
            reader, _ = await s.meet(secret)
            assert await reader.read() == b"This address was used already.\r\n"
        s.end()


async def test_without_tls_a_secret_is_no_request(stage):
    s = stage()
    async with s.rig:
        assert b" 400 " in await s.rig.ask(SECRET.encode() + b"\r\n\r\n")
        assert not s.streams.taken
        s.end()


async def test_stopping_the_router_ends_meetings(stage):
    s = stage()
    async with s.rig:
        reader, _ = await s.meet()
    assert await reader.read() == b""
    assert s.left == 1
    s.end()
