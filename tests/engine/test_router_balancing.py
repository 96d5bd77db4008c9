"""Hosts that several apps share: who gets how much, who stays with whom, and who gets nothing."""

from collections import Counter

import pytest

from engine import balancing
from engine.balancing import ANSWERS, ASLEEP, AWAY, Member
from engine.spec import Stake
from tests.engine.router_rig import Rig, header, request, says, until

HOST = "shop-lb-0123456789abcdef01234567.localhost"


def named(name):
    """An answer that says which app gave it."""
    return says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name.encode()))


def put(rig, name, *dynos, weight=100, sticky=False, **more):
    """Have an app with a stake in the shared host."""
    stake = Stake(HOST, weight, f"key-{name}", sticky)
    rig.put(*dynos, app=name, name=name, stakes=(stake,), **more)


async def ask(rig, cookie=""):
    """(who answered, the cookie that was given)."""
    more = f"Cookie: a=b; {balancing.COOKIE}={cookie}; c=d\r\n".encode() if cookie else b""
    answer = await rig.get(host=HOST, more=more)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    return body.decode(), header(head + b"\r\n", "set-cookie")


async def test_apps_share_a_host_by_their_weights_and_each_keeps_its_own():
    async with Rig() as rig:
        one, two, none = [await rig.dyno(named(name)) for name in ("one", "two", "none")]
        put(rig, "one", one, weight=100)
        put(rig, "two", two, weight=25)
        put(rig, "none", none, weight=0)
        found = Counter([(await ask(rig))[0] for _ in range(120)])
        assert found["one"] > found["two"] > 0 and found["none"] == 0
        assert (await rig.get(host="none.localhost")).endswith(b"none")
        line = await rig.line(f"host={HOST}")
        assert "dyno=web.1" in line and "status=200" in line
        whose = await until(
            lambda: (hits := {s for s, t in rig.lines if HOST in t}) == {"app/one", "app/two"} and hits
        )
        assert whose
        (head,) = {header(head, "host")[0] for head in one.heads}
        assert head == HOST


async def test_who_came_once_stays_with_the_app_until_it_is_drained():
    async with Rig() as rig:
        one, two = await rig.dyno(named("one")), await rig.dyno(named("two"))
        put(rig, "one", one, sticky=True)
        put(rig, "two", two, sticky=True)
        first, (given,) = await ask(rig)
        assert given == f"{balancing.COOKIE}=key-{first}; Path=/; HttpOnly; SameSite=Lax"
        for name in ("one", "two"):
            assert [await ask(rig, f"key-{name}") for _ in range(8)] == [(name, [])] * 8
        put(rig, "one", one, sticky=True, weight=0)
        assert await ask(rig, "key-one") == (
            "two",
            [f"{balancing.COOKIE}=key-two; Path=/; HttpOnly; SameSite=Lax"],
        )
        assert (await ask(rig, "made-up"))[0] == "two"
        put(rig, "two", two)
        assert await ask(rig) == ("two", [])


async def test_apps_that_can_not_answer_get_nothing_until_none_can():
    async with Rig() as rig:
        one, two = await rig.dyno(named("one")), await rig.dyno(named("two"))
        put(rig, "one", one, maintenance=True)
        put(rig, "two", two)
        put(rig, "three", why_none="H10")
        put(rig, "four", asleep=True, why_none="H20")
        assert {(await ask(rig))[0] for _ in range(20)} == {"two"}
        rig.router.drop("two")
        rig.router.drop("four")
        rig.router.drop("one")
        answer = await rig.get(host=HOST)
        assert answer.startswith(b"HTTP/1.1 503") and b"H10" in answer
        put(rig, "one", one)
        assert (await ask(rig))[0] == "one"
        rig.router.drop("one")
        rig.router.drop("three")
        assert (await rig.get(host=HOST)).startswith(b"HTTP/1.1 404")


async def test_an_app_without_a_stake_any_more_gets_nothing():
    async with Rig() as rig:
        one, two = await rig.dyno(named("one")), await rig.dyno(named("two"))
        put(rig, "one", one)
        put(rig, "two", two)
        rig.put(one, app="one", name="one")
        assert {(await ask(rig))[0] for _ in range(20)} == {"two"}
        put(rig, "two", two, weight=0)
        assert (await rig.get(host=HOST)).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    ("ranks", "found"),
    [
        ({"a": ANSWERS, "b": ASLEEP, "c": AWAY}, "a"),
        ({"b": ASLEEP, "c": AWAY}, "b"),
        ({"c": AWAY, "d": AWAY}, "cd"),
        ({"zero": ANSWERS, "c": AWAY}, "c"),
    ],
)
def test_the_best_that_have_weight_are_drawn(ranks, found):
    members = {
        name: Member(Stake(HOST, 0 if name == "zero" else 10, name), rank) for name, rank in ranks.items()
    }
    assert "".join(balancing.drawn(members)) == found


@pytest.mark.parametrize(
    ("weights", "counts"),
    [
        ({"a": 100, "b": 100}, {"a": 50, "b": 50}),
        ({"a": 90, "b": 10}, {"a": 90, "b": 10}),
        ({"a": 100, "b": 1, "c": 100}, {"a": 50, "b": 1, "c": 49}),
        ({"a": 7}, {"a": 100}),
        ({}, {}),
    ],
)
def test_lots_are_in_proportion_and_each_app_has_one(weights, counts):
    found = balancing.lots(weights)
    assert sorted(Counter(found).values()) == sorted(counts.values())
    assert set(found) == set(counts) and len(found) in (0, balancing.LOTS)


def test_more_apps_than_lots_share_what_there_are():
    assert len(balancing.lots(dict.fromkeys(range(300), 100))) == balancing.LOTS


async def test_a_websocket_is_stuck_as_well():
    async def script(head, reader, writer):
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        return False

    async with Rig() as rig:
        put(rig, "one", await rig.dyno(script), sticky=True)
        answer = await rig.ask(request(host=HOST, more="Connection: Upgrade\r\nUpgrade: websocket\r\n"))
        head = answer.partition(b"\r\n\r\n")[0]
        assert head.startswith(b"HTTP/1.1 101")
        assert header(head + b"\r\n", "set-cookie") == [
            f"{balancing.COOKIE}=key-one; Path=/; HttpOnly; SameSite=Lax"
        ]
