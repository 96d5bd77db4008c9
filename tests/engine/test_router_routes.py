"""Who answers for a host, and switching from one release's dynos to the next."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from engine.router import wire
from engine.router.exchange import new_id
from engine.router.identity import listener_uid
from engine.spec import Backend, Route
from tests.engine.router_rig import OK, Rig, read_answer, request, says, until


def named(name):
    """An answer that says which dyno gave it."""
    return says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))


@pytest.mark.promise("I-26")
async def test_a_host_reaches_its_own_app_only():
    async with Rig() as rig:
        one, two = await rig.dyno(named(b"one")), await rig.dyno(named(b"two"))
        rig.put(one, app="a1", hosts={"one.localhost", "www.example.com"})
        rig.put(two, app="a2", hosts={"two.localhost", "*.example.com", "*.localhost"})
        ends = {
            host: (await rig.get(host=host)).rpartition(b"\r\n")[2]
            for host in (
                "one.localhost",
                "www.example.com",
                "two.localhost",
                "x.example.com",
                "WWW.Example.com:8000",
            )
        }
        other = await rig.get(host="nobody.localhost")
    assert ends == {
        "one.localhost": b"one",
        "www.example.com": b"one",
        "two.localhost": b"two",
        "x.example.com": b"two",
        "WWW.Example.com:8000": b"one",
    }
    assert other.startswith(b"HTTP/1.1 404")


@pytest.mark.promise("I-26")
async def test_a_port_that_another_dyno_uses_again_gets_connections_of_its_own():
    async with Rig() as rig:
        dyno = await rig.app(named(b"any"))
        await rig.get()
        rig.put(dyno, ids=["another-start"])
        await rig.get()
        assert dyno.connections == 2
        await until(lambda: len(dyno.open) == 1)  # what was left of the former one is closed


async def test_a_put_replaces_all_that_was_known_of_an_app():
    async with Rig() as rig:
        dyno = await rig.dyno(says(OK))
        rig.put(dyno, hosts={"old.localhost", "shop.localhost"})
        rig.put(dyno, hosts={"new.localhost", "shop.localhost"})
        status = {
            name: (await rig.get(host=f"{name}.localhost"))[9:12].decode() for name in ("old", "new", "shop")
        }
        rig.router.drop("a1")
        rig.router.drop("unknown")
        gone = await rig.get(host="new.localhost")
    assert status == {"old": "404", "new": "200", "shop": "200"}
    assert gone.startswith(b"HTTP/1.1 404")


async def test_a_host_that_moved_to_another_app_stays_there():
    async with Rig() as rig:
        one, two = await rig.dyno(named(b"one")), await rig.dyno(named(b"two"))
        rig.put(one, app="a1", hosts={"www.example.com"})
        rig.put(two, app="a2", hosts={"www.example.com"})
        rig.router.drop("a1")
        assert (await rig.get(host="www.example.com")).endswith(b"two")


async def test_dynos_take_turns_and_the_busy_one_is_spared():
    go = asyncio.Event()

    async def slow(head, reader, writer):
        if b"/slow" in head:
            await go.wait()
        writer.write(OK)

    async with Rig() as rig:
        dynos = [await rig.dyno(slow) for _ in range(3)]
        rig.put(*dynos)
        for _ in range(9):
            await rig.get()
        assert [len(dyno.heads) for dyno in dynos] == [3, 3, 3]
        waiting = asyncio.create_task(rig.get("/slow"))
        busy = await until(lambda: [i for i in range(3) if rig.router.in_flight(f"a1-{i}")])
        for _ in range(8):
            await rig.get()
        go.set()
        await waiting
    assert [len(dyno.heads) for i, dyno in enumerate(dynos) if i not in busy] == [7, 7]


async def test_what_is_in_flight_ends_on_the_old_dyno():
    go = asyncio.Event()

    async def slow(head, reader, writer):
        await go.wait()
        writer.write(OK)

    async with Rig() as rig:
        old = await rig.app(slow, ids=["old"])
        waiting = asyncio.create_task(rig.get())
        await until(lambda: rig.router.in_flight("old") == 1)
        new = await rig.dyno(named(b"new"))
        rig.put(new, ids=["new"])
        assert (await rig.get()).endswith(b"new")
        assert rig.router.in_flight("old") == 1
        go.set()
        assert (await waiting).endswith(b"ok")
        await until(lambda: rig.router.in_flight("old") == 0)  # HAProxy counts a moment later
        await until(lambda: not old.open)


async def test_a_kept_connection_of_a_client_goes_to_the_new_dyno_at_once():
    async with Rig() as rig:
        await rig.app(named(b"old"), ids=["old"])
        reader, writer = await rig.open()
        writer.write(request())
        assert (await read_answer(reader))[1] == b"old"
        new = await rig.dyno(named(b"new"))
        rig.put(new, ids=["new"])
        writer.write(request())
        assert (await read_answer(reader))[1] == b"new"
        writer.close()


async def test_a_request_that_met_a_dyno_just_stopped_goes_to_the_new_one():
    async with Rig() as rig:
        old = await rig.app(named(b"old"), ids=["old"])
        new = await rig.dyno(named(b"new"))
        old.server.close()
        asking = asyncio.create_task(rig.get())
        while not rig.router.in_flight("old"):
            await asyncio.sleep(0)
        rig.put(new, ids=["new"])
        assert (await asking).endswith(b"new")


async def test_routes_come_from_any_thread_and_are_in_effect_when_put_returns():
    async with Rig() as rig:
        dynos = [await rig.dyno(named(b"%d" % i)) for i in range(2)]
        seen = []

        def switch():
            for i in (0, 1, 0, 1):
                backend = Backend(f"b{i}", "web.1", "127.0.0.1", dynos[i].port)
                rig.router.put(Route("a1", "shop", frozenset({"shop.localhost"}), (backend,)))
                future = asyncio.run_coroutine_threadsafe(rig.get(), loop)
                seen.append(future.result(5)[-1:])

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(switch)
    assert seen == [b"0", b"1", b"0", b"1"]


async def test_routes_may_be_put_before_the_start_and_after_the_stop():
    rig = Rig()
    async with rig:
        await rig.router.stop()
        await asyncio.to_thread(rig.put, 1)
        assert rig.router.table.find("shop.localhost")


@pytest.mark.promise("I-04")
async def test_switching_under_load_fails_no_request():
    async with Rig() as rig:
        await rig.app(named(b"v0"), ids=["v0"])
        answers, stop = [], False

        async def keep_asking(kept):
            reader, writer = await rig.open()
            while not stop:
                if not kept:
                    answers.append((await rig.get())[-2:])
                    continue
                writer.write(request(method="POST", more="Content-Length: 1\r\n", body=b"x"))
                answers.append((await read_answer(reader))[1])
            writer.close()

        askers = [asyncio.create_task(keep_asking(i % 2)) for i in range(16)]
        old = None
        for version in range(1, 8):
            enough = len(answers) + 150
            await until(lambda: len(answers) > enough)
            new = await rig.dyno(named(b"v%d" % version))
            await asyncio.to_thread(rig.put, new, ids=[f"v{version}"])
            if old:
                await until(lambda: rig.router.in_flight(f"v{version - 1}") == 0)
                old.server.close()
                for writer in list(old.open):
                    writer.close()
            old = new
        enough = len(answers) + 50
        await until(lambda: len(answers) > enough)
        stop = True
        await asyncio.gather(*askers)
        assert not [text for _, text in rig.lines if "code=" in text]
    assert len(answers) > 1000
    assert set(answers) == {b"v%d" % version for version in range(8)}


async def test_putting_waits_for_a_loop_that_is_busy_and_no_longer():
    async with Rig() as rig:
        done = threading.Event()
        threading.Thread(target=lambda: (rig.put(1), done.set())).start()
        time.sleep(0.05)  # the loop is held up, so it can't be in effect
        assert not done.is_set()
        await until(done.is_set)


def test_ids_are_well_formed_and_differ():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000 and all(len(id) == 36 for id in ids)


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        (b"A.Example.com:80", "a.example.com"),
        (b"a.example.", "a.example"),
        (b"[::1]:8000", "[::1]"),
        (b"1.2.3.4", "1.2.3.4"),
    ],
)
def test_hosts_are_compared_without_port_and_case(authority, host):
    assert wire.host_of(authority) == host


def listening_as(uid, port):
    """A process of another user that answers on `port`; returns its Popen once it listens."""
    code = (
        "import os, socket, sys\n"
        f"os.setuid({uid}); listener = socket.create_server(('127.0.0.1', {port})); print('up', flush=True)\n"
        "while True:\n"
        "    sock, _ = listener.accept(); sock.recv(9999)\n"
        "    sock.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nothers'); sock.close()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    return process


@pytest.mark.promise("I-26")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
async def test_a_port_taken_over_by_another_user_is_not_spoken_to():
    async with Rig() as rig:
        dyno = await rig.app(named(b"mine"))
        assert (await rig.get()).endswith(b"mine")
        dyno.server.close()
        for writer in list(dyno.open):
            writer.close()
        await until(lambda: not dyno.open)
        process = listening_as(12345, dyno.port)
        try:
            answer = await rig.get()
            await rig.line("code=H21")
            rig.put(dyno.port, ids=["its-own-start"])
            assert (await rig.get()).endswith(b"others")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    assert answer.startswith(b"HTTP/1.1 503 ")


def test_the_kernel_tells_who_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert listener_uid("127.0.0.1", port) == os.geteuid()
    assert listener_uid("127.0.0.1", port) is None
    assert listener_uid("not an address", port) is None
