"""Certificates from an authority that speaks ACME, against Pebble."""

import asyncio

import pytest

from engine.acme import Authority, Denied, new_key
from engine.certificates import read
from tests.engine.pebble import Pebble
from tests.engine.router_rig import OK, Rig, says, until


@pytest.fixture
async def rig():
    async with Rig() as rig:
        yield rig


@pytest.fixture
async def pebble(rig, tmp_path, monkeypatch):
    running = await asyncio.to_thread(Pebble, tmp_path, rig.router.port)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running.trust))
    yield running
    await asyncio.to_thread(running.stop)


async def test_a_host_that_answers_gets_a_certificate(rig, pebble):
    account, key = new_key(), new_key()

    def begin():
        authority = Authority(pebble.url, account)
        authority.register("ops@example.com")
        return authority.start("www.example.com", key)

    started = await asyncio.to_thread(begin)
    await rig.app(says(OK), hosts={"www.example.com"}, challenges={started.token: started.answer})

    def go_on():  # somebody else, who knows what was written down
        authority = Authority(pebble.url, account)
        authority.register("ops@example.com")
        authority.answer(started)
        return authority

    authority = await asyncio.to_thread(go_on)
    look = lambda: asyncio.to_thread(authority.look, started.order)  # noqa: E731
    while await look() == "pending":
        await asyncio.sleep(0.02)
    await asyncio.to_thread(authority.finish, started.order, "www.example.com", key)
    while await look() == "processing":
        await asyncio.sleep(0.02)
    chain = await asyncio.to_thread(authority.certificate, started.order)
    assert read(chain, key).domains == ("www.example.com",)


async def test_a_host_that_does_not_answer_is_denied_with_the_reason(rig, pebble):
    def ask():
        authority = Authority(pebble.url, new_key())
        authority.register("")
        started = authority.start("www.example.com", new_key())
        authority.answer(started)
        return authority, started

    authority, started = await asyncio.to_thread(ask)
    with pytest.raises(Denied, match="404"):
        while True:
            await asyncio.to_thread(authority.look, started.order)
            await asyncio.sleep(0.02)
    assert until
