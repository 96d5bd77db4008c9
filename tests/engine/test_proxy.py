"""HAProxy as the router: what is its own. What it shares with the embedded one is in `test_proxy_shared`."""

import asyncio
import contextlib
import ssl
from dataclasses import replace

import pytest

from core.errors import EngineError
from engine.balancing import cookie
from engine.proxy import ProxyRouter, records
from engine.proxy.files import read_map
from engine.spec import Certificate, Route, Stake
from tests.certificates import leaf
from tests.engine.proxy_rig import ProxyRig, spawn
from tests.engine.router_rig import OK, echo, header, read_answer, request, says, until
from tests.engine.test_router_sleep import trial


def careless():
    """A client that looks at no certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def shown(rig, name):
    """The certificate that a client who asks for `name` is shown."""
    _, writer = await asyncio.open_connection(
        "127.0.0.1", rig.secure_port, ssl=careless(), server_hostname=name
    )
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return der


@pytest.mark.promise("I-18")
async def test_it_starts_into_the_last_known_routes_with_nobody_else_alive():
    async with ProxyRig() as rig:
        await rig.app(says(OK))
        await rig.keeper.stop()
        rig.process.kill()
        await asyncio.to_thread(rig.process.wait, 10)
        rig.process = spawn(rig.router.folder)
        await until(lambda: rig.is_up(), 20)
        assert (await rig.get()).endswith(b"ok")
        assert (await rig.get(host="nobody.localhost")).startswith(b"HTTP/1.1 404")


@pytest.mark.promise("I-18")
def is_away(rig):
    with contextlib.suppress(EngineError):
        return not rig.router.runtime.info()
    return True


async def test_routes_that_came_while_it_was_away_are_there_when_it_is_back():
    async with ProxyRig() as rig:
        rig.process.terminate()
        await asyncio.to_thread(rig.process.wait, 10)
        await until(lambda: is_away(rig))  # its worker ends a moment later
        await rig.app(says(OK))
        rig.process = spawn(rig.router.folder)
        await until(lambda: rig.is_up(), 20)
        await until(lambda: not rig.router.folder.unsaid.exists())
        assert (await rig.get()).endswith(b"ok")


async def test_who_takes_over_knows_what_an_old_dyno_is_still_at_work_on():
    go = asyncio.Event()

    async def slow(head, reader, writer):
        await go.wait()
        writer.write(OK)

    async with ProxyRig() as rig:
        await rig.app(slow, ids=["old"])
        waiting = asyncio.create_task(rig.get())
        await until(lambda: rig.router.in_flight("old") == 1)
        rig.put(await rig.dyno(says(OK)), ids=["new"])
        next_one = ProxyRouter(rig.router.folder.root)
        assert next_one.in_flight("old") == 1
        go.set()
        assert (await waiting).endswith(b"ok")
        await until(lambda: next_one.in_flight("old") == 0)
        assert next_one.in_flight("never") == 0


async def test_no_request_fails_while_it_reads_its_files_anew():
    async with ProxyRig() as rig:
        await rig.app(says(OK))
        wrong, asked = [], 0
        reload = asyncio.create_task(asyncio.to_thread(rig.router.runtime.reload))
        while not reload.done():
            answer = await rig.get()
            asked += 1
            if not answer.endswith(b"ok"):
                wrong.append(answer)
        await reload
        assert not wrong and asked


async def test_places_for_apps_run_out_and_more_are_made(monkeypatch):
    monkeypatch.setattr("engine.proxy.router.SPARES", 2)
    async with ProxyRig() as rig:
        dyno = await rig.dyno(says(OK))
        for number in range(5):
            await asyncio.to_thread(rig.put, dyno, app=f"a{number}", name=f"app{number}")
        answers = [await rig.get(host=f"app{number}.localhost") for number in range(5)]
        assert all(answer.endswith(b"ok") for answer in answers)


async def test_a_place_that_was_left_is_given_to_another_app():
    async with ProxyRig() as rig:
        await rig.app(says(OK), app="a1", name="one")
        rig.router.drop("a1")
        rig.router.folder.backends.joinpath("app00001~.cfg").touch()
        for slot in range(2, 129):  # all others are taken
            rig.router.folder.backends.joinpath(f"app{slot:05}~.cfg").unlink()
        rig.put(why_none="H14", app="a2", name="two")
        assert rig.router.folder.places() == {"app00001": "a2"}
        assert b"404" in (await rig.get(host="one.localhost"))[:12]
        assert b"H14" in await rig.get(host="two.localhost")


async def test_two_conductors_say_the_same_without_harm():
    async with ProxyRig() as rig:
        dyno = await rig.dyno(says(OK))
        first = rig.router
        second = type(first)(first.folder.root)
        second.port = first.port
        for router in (first, second, first):
            rig.router = router
            rig.put(dyno)
            assert (await rig.get()).endswith(b"ok")
        rig.router = first
        assert list(first.folder.places().values()).count("a1") == 1


ASLEEP = Route("a1", "shop", frozenset({"shop.localhost"}), asleep=True, why_none="H20")


async def test_the_next_conductor_knows_who_sleeps():
    async with ProxyRig() as rig:
        rig.router.put(ASLEEP)
        await rig.keeper.stop()
        answer = await rig.get()
        assert answer.startswith(b"HTTP/1.1 503") and b"H20" in answer  # nobody is there to wake it
        woken = []
        rig.router = ProxyRouter(rig.router.folder.root)
        rig.wake, rig.router.port = woken.append, rig.port
        rig.keeper = rig.keep()
        rig.keeper.start()
        await until(lambda: rig.router._waking)
        asking = asyncio.create_task(rig.get())
        await until(lambda: woken == ["a1"])
        await rig.app(says(OK))
        assert (await asking).startswith(b"HTTP/1.1 200")


async def test_who_waits_for_an_app_is_said_with_the_whole_way_it_took():
    async with ProxyRig() as rig:
        rig.router.put(ASLEEP)
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.secure_port, ssl=careless())
        writer.write(request(more="X-Forwarded-For: 10.1.2.3\r\nX-Request-Id: 0123456789abcdef\r\n"))
        waiting = asyncio.create_task(read_answer(reader))
        await until(lambda: rig.router.quiet("a1") == 0)
        dyno = await rig.app(says(OK))
        assert (await waiting)[0].startswith(b"HTTP/1.1 200")
        writer.close()
        head = dyno.heads[0]
        assert header(head, "x-forwarded-for") == ["10.1.2.3, 127.0.0.1"]
        assert header(head, "x-forwarded-proto") == ["https"]
        assert header(head, "x-request-id") == ["0123456789abcdef"]
        line = await rig.line("status=200")
        assert 'fwd="10.1.2.3, 127.0.0.1"' in line and "request_id=0123456789abcdef" in line
        await rig.get("/later")
        await rig.line("/later")
        assert len([text for _, text in rig.lines if "status=200" in text]) == 2  # each is told of once


async def test_a_trial_goes_on_in_a_haproxy_that_starts_anew_and_its_place_is_free_afterwards():
    async with ProxyRig() as rig:
        old, new = await rig.dyno(says(OK)), await rig.dyno(says(OK))
        rig.router.put(trial(old, new, 100))
        rig.process.kill()
        await asyncio.to_thread(rig.process.wait, 10)
        rig.process = spawn(rig.router.folder)
        await until(lambda: rig.is_up(), 20)
        await rig.get()
        assert (len(old.heads), len(new.heads)) == (0, 1)
        rig.put(old, ids=["old"])
        await rig.get()
        assert (len(old.heads), len(new.heads)) == (1, 1)
        assert [app for app in rig.router.folder.places().values() if app] == ["a1"]
        assert read_map(rig.router.folder.canaries) == {}


async def test_certificates_come_change_and_go_while_it_runs():
    async with ProxyRig() as rig:
        dyno = await rig.dyno(says(OK))
        name = "www.example.com"
        for issued in (leaf(name), leaf(name)):
            rig.put(dyno, hosts={name}, certificates={name: Certificate(issued.chain, issued.key_pem)})
            assert await shown(rig, name) == ssl.PEM_cert_to_DER_cert(issued.pem)
        rig.put(dyno, hosts={name})
        assert await shown(rig, name) == await shown(rig, "localhost")


async def test_guests_of_one_off_dynos_are_shown_in_by_tls():
    def find(secret):
        raise LookupError(f"Nobody is waiting for {secret}.")

    rig = ProxyRig()
    rig.find_guest = find
    async with rig:
        await until(lambda: rig.router.folder.guests.exists())
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.guests_port, ssl=careless())
        writer.write(b"rendezvous-abc\r\n")
        answer = await asyncio.wait_for(reader.read(-1), 5)
        writer.close()
    assert answer == b"rendezvous\r\nNobody is waiting for rendezvous-abc.\r\n"


async def test_a_body_of_any_length_passes():
    async with ProxyRig() as rig:
        await rig.app(echo)
        reader, writer = await rig.open()
        body = b"x" * 3_000_000
        writer.write(request(method="POST", more=f"Content-Length: {len(body)}\r\n", body=body))
        head, got = await asyncio.wait_for(read_answer(reader), 20)
        writer.close()
    assert got == body and header(head, "via") == ["1.1 slipway"]


def test_a_record_becomes_the_line_that_the_embedded_router_writes():
    record = b'a1@11 -- 200 55 29 2 3 20 web.1:x:12 1 id-12345 GET shop.localhost /a"b 1.2.3.4, 10.0.0.1'
    assert records.read(record) == records.Record(
        "a1",
        12,
        "",
        200,
        20,
        b'at=info method=GET path="/a%22b" host=shop.localhost request_id=id-12345 fwd="1.2.3.4, 10.0.0.1" dyno=web.1 '
        b"connect=3ms service=17ms status=200 bytes=2 protocol=https",
    )


@pytest.mark.parametrize(
    ("ended", "status", "code"),
    [
        ("SC", 503, "H21"),
        ("sC", 503, "H19"),
        ("sH", 504, "H12"),
        ("SH", 502, "H13"),
        ("PH", 502, "H17"),
        ("SD", 200, "H18"),
        ("sD", 200, "H15"),
        ("sD", 101, "H15"),
        ("CD", 200, "H27"),
        ("cD", 200, "H28"),
        ("sQ", 503, "H11"),
    ],
)
def test_how_a_request_ended_becomes_a_code(ended, status, code):
    record = f"a1 {ended} {status} 0 - - 0 0 web.1:x 0 id-12345 GET shop.localhost / 1.2.3.4"
    assert f" code={code} ".encode() in records.read(record.encode()).line


def test_a_tunnel_that_ends_is_no_fault():
    assert records.read(b"a1 CD 101 9 - - 0 0 web.1:x 0 id-12345 GET h / 1.2.3.4").line.startswith(
        b"at=info "
    )


def test_records_are_read_from_any_pieces():
    stream, found = b"3 abc2 d\n10 0123456789", []
    buffer = bytearray()
    for byte in stream:
        buffer.append(byte)
        found += records.frames(buffer)
    assert found == [b"abc", b"d\n", b"0123456789"] and not buffer


SHARED = "shop-lb-0123456789abcdef01234567.localhost"


async def test_who_shares_a_host_is_known_to_a_haproxy_that_starts_anew():
    stake = Stake(SHARED, 100, "key-one", sticky=True)
    async with ProxyRig() as rig:
        await rig.app(says(OK), stakes=(stake,))
        rig.process.kill()
        await asyncio.to_thread(rig.process.wait, 10)
        rig.process = spawn(rig.router.folder)
        await until(lambda: rig.is_up(), 20)
        assert (await rig.get(host=SHARED)).endswith(b"ok")
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.secure_port, ssl=careless())
        writer.write(request(host=SHARED))
        head, _ = await read_answer(reader)
        writer.close()
        assert header(head, "set-cookie") == [cookie("key-one", secure=True)]
        rig.router.drop("a1")
        assert read_map(rig.router.folder.shares) == {}
        assert b"404" in (await rig.get(host=SHARED))[:12]


async def test_who_comes_to_a_shared_host_wakes_an_app_when_all_sleep():
    woken = []
    rig = ProxyRig()
    rig.options = {"wake": woken.append}
    stakes = (Stake(SHARED, 100, "key-one", sticky=True),)
    async with rig:
        rig.router.put(replace(ASLEEP, stakes=stakes))
        asking = asyncio.create_task(rig.get(host=SHARED))
        await until(lambda: woken == ["a1"])
        await rig.app(says(OK), stakes=stakes)
        answer = await asking
        assert answer.startswith(b"HTTP/1.1 200")
        assert header(answer, "set-cookie") == [cookie("key-one", secure=False)]
