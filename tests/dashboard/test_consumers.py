"""The websocket of a page: who may connect, what they hear, and when they are cut off."""

import asyncio
import json
import time
import uuid

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from accounts import actions as account_actions
from addons import mails
from addons.models import Addon
from apps import actions as app_actions
from apps import logs
from apps.models import Collaborator
from config.asgi import application
from core import live
from engine.spec import Line
from pipelines.models import Pipeline
from releases.actions import create_build
from tests.factories import make_addon, make_app, make_source
from tests.mailing import a_mail, receive

pytestmark = pytest.mark.django_db(transaction=True)
db = sync_to_async


@pytest.fixture(autouse=True)
async def loop():
    """Nudges of other threads reach the sockets of this test's loop."""
    live.use_loop(asyncio.get_running_loop())
    yield
    live.use_loop(None)


@pytest.fixture
def app(alice, team):
    return make_app("shop", owner=team)


def line(text, *, source="app", dyno="web.1"):
    return Line(source, dyno, text.encode() if isinstance(text, str) else text, time.time())


def append(stream, *texts, **extra):
    return logs.store().append(stream, [line(text, **extra) for text in texts])


def session_of(user):
    client = Client()
    client.force_login(user)
    return client, client.cookies[settings.SESSION_COOKIE_NAME].value


class Page:
    """What a page's script does."""

    def __init__(self, cookie="", *, origin="http://localhost:8000", host="localhost:8000", extra=()):
        headers = [(b"host", host.encode()), *extra]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        if cookie:
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
        self.socket = WebsocketCommunicator(application, "/ws/", headers=headers)

    @classmethod
    async def of(cls, user):
        page = cls((await db(session_of)(user))[1])
        assert (await page.socket.connect())[0]
        return page

    async def refused(self):
        return not (await self.socket.connect())[0]

    async def say(self, **message):
        await self.socket.send_json_to(message)

    async def hear(self, seconds=10):
        return await self.socket.receive_json_from(timeout=seconds)

    async def quiet(self):
        return await self.socket.receive_nothing(timeout=0.25)

    async def lines(self, count):
        """The next `count` lines, confirmed as they come."""
        found = []
        while len(found) < count:
            message = await self.hear()
            found += message["lines"]
            await self.say(log=message["log"], seen=message["after"])
        return found

    async def subscribed(self, *topics):
        """Subscribe, and wait until that is in effect: a socket's messages take turns."""
        await self.say(subscribe=list(topics))
        await self.settled()

    async def settled(self):
        await self.say(log="app/nothing", after=0)
        while not self.socket.input_queue.empty():  # that it is taken says that all before it is done
            await asyncio.sleep(0.005)

    async def close(self):
        await self.socket.disconnect()


# --- who may connect ------------------------------------------------------------------------------------------------


@pytest.mark.promise("I-45")
@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "http://evil.example",
        "http://localhost",
        "http://localhost:8001",
        "https://localhost:8000",
        "http://shop.localhost:8000",
        "http://localhost:8000.evil.example",
        "http://localhost:8000/",
        "http://user@localhost:8000",
        "file://localhost:8000",
    ],
)
async def test_other_origins_are_refused(alice, origin):
    cookie = (await db(session_of)(alice))[1]
    assert await Page(cookie, origin=origin).refused()


async def test_who_lacks_the_second_factor_that_is_demanded_waits_outside(alice, settings):
    cookie = (await db(session_of)(alice))[1]
    settings.REQUIRE_TWO_FACTOR = "everyone"
    assert await Page(cookie).refused()
    settings.REQUIRE_TWO_FACTOR = "operators"
    assert not await Page(cookie).refused()


@pytest.mark.promise("I-45")
async def test_the_page_s_own_origin_is_let_in(alice):
    cookie = (await db(session_of)(alice))[1]
    for origin, host, extra in [
        (settings.URL, "localhost:8000", ()),
        ("http://127.0.0.1:24000", "127.0.0.1:24000", ()),
        ("https://localhost:24000", "localhost:24000", [(b"x-forwarded-proto", b"https")]),
    ]:
        page = Page(cookie, origin=origin, host=host, extra=extra)
        assert not await page.refused()
        await page.close()


@pytest.mark.promise("I-45")
async def test_a_host_that_is_not_ours_is_refused(alice):
    cookie = (await db(session_of)(alice))[1]
    assert await Page(cookie, origin="http://rebound.example", host="rebound.example").refused()


@pytest.mark.promise("I-29")
async def test_nobody_connects_without_signing_in(db):
    assert await Page().refused()
    assert await Page("nosuchsession").refused()


# --- nudges -------------------------------------------------------------------------------------------------------


async def test_a_page_hears_of_what_it_subscribed_to(alice, app, shop):
    page = await Page.of(alice)
    pipeline = await Pipeline.objects.aget(name="shop")
    await page.subscribed(f"app:{app.pk}", pipeline.topic)
    await db(live.tell)(app.topic, 7)
    assert await page.hear() == {"topic": app.topic, "after": 7}
    await db(live.tell)(pipeline.topic)
    assert await page.hear() == {"topic": pipeline.topic, "after": 0}
    await db(live.tell)(f"app:{uuid.uuid4()}")
    assert await page.quiet()
    await page.close()


@pytest.mark.promise("I-28")
async def test_a_stranger_hears_nothing(charlie, app, shop):
    page = await Page.of(charlie)
    append(app.log_stream, "secret")
    await page.subscribed(
        app.topic, f"pipeline:{(await Pipeline.objects.aget(name='shop')).pk}", "app:nonsense"
    )
    await page.say(log=app.log_stream, after=0)
    await db(live.tell)(app.topic)
    append(app.log_stream, "secret")
    assert await page.quiet()
    await page.close()


async def test_an_inbox_tells_its_page_of_mail_and_nobody_else(alice, charlie, app):
    inbox = await db(make_addon)(app, "mailer:inbox", as_="MAILER")
    ours, foreign = await Page.of(alice), await Page.of(charlie)
    for page in (ours, foreign):
        await page.subscribed(mails.topic_of(inbox), "addon:nonsense")
    await db(receive)(await db(Addon.objects.whole().get)(pk=inbox.pk), a_mail())
    assert (await ours.hear())["topic"] == mails.topic_of(inbox)
    assert await foreign.quiet()
    for page in (ours, foreign):
        await page.close()


async def test_of_users_one_hears_of_oneself_alone(alice, bob):
    page = await Page.of(bob)
    await page.subscribed(f"user:{alice.pk}")
    await db(live.tell)(f"user:{alice.pk}")
    assert await page.quiet()
    await db(live.tell)(f"user:{bob.pk}")
    assert (await page.hear())["topic"] == f"user:{bob.pk}"
    await page.close()


@pytest.mark.parametrize("text", ["null", "{", "[]", "7", "x" * 70_000])
async def test_what_is_no_message_closes_the_socket(alice, text):
    page = await Page.of(alice)
    await page.socket.send_to(text_data=text)
    assert (await page.socket.receive_output(3))["code"] == 4400


async def test_malformed_wishes_are_passed_over(alice, app):
    page = await Page.of(alice)
    for wish in [
        {"subscribe": 7},
        {"subscribe": [None, 1, "app:", "app:../x", ":"]},
        {"log": 7},
        {"log": "app/../../etc", "after": 0},
        {"log": "app/x", "seen": "y"},
        {"unlog": []},
        {"what": 1},
    ]:
        await page.say(**wish)
    await page.subscribed(app.topic)
    await db(live.tell)(app.topic)
    assert (await page.hear())["topic"] == app.topic
    await page.close()


# --- logs -----------------------------------------------------------------------------------------------------------


async def test_a_log_comes_from_where_the_page_stands_and_goes_on(alice, app):
    append(app.log_stream, "one", "two", "three")
    page = await Page.of(alice)
    await page.say(log=app.log_stream, after=1)
    message = await page.hear()
    assert [(n, source, dyno, text) for n, _, source, dyno, text in message["lines"]] == [
        (2, "app", "web.1", "two"),
        (3, "app", "web.1", "three"),
    ]
    assert (message["log"], message["after"], message["ended"]) == (app.log_stream, 3, False)
    append(app.log_stream, "four")
    assert [row[4] for row in (await page.hear())["lines"]] == ["four"]
    await page.say(unlog=app.log_stream)
    await page.settled()
    append(app.log_stream, "five")
    assert await page.quiet()
    await page.close()


async def test_a_negative_number_counts_from_the_end(alice, app):
    append(app.log_stream, *map(str, range(50)))
    page = await Page.of(alice)
    await page.say(log=app.log_stream, after=-3)
    assert [row[4] for row in (await page.hear())["lines"]] == ["47", "48", "49"]
    await page.close()


async def test_the_output_of_a_build_ends(alice, vera, app):
    build = await db(create_build)(app, await db(make_source)(app), by=alice)
    append(build.log_stream, "-----> Done", source="app", dyno="build")
    page = await Page.of(vera)  # may only view: enough for builds, not for app logs
    await page.say(log=app.log_stream, after=0)
    await page.say(log=build.log_stream, after=0)
    assert (await page.hear())["lines"][0][4] == "-----> Done"
    await asyncio.to_thread(logs.store().end, build.log_stream)
    assert await page.hear() == {"log": build.log_stream, "lines": [], "after": 1, "ended": True}
    await page.close()


@pytest.mark.promise("I-22")
async def test_a_page_that_reconnects_gets_every_later_line_once(alice, app):
    """Sockets that break at any moment, while lines pour in, lose nothing and repeat nothing."""
    stream = app.log_stream

    def pour():
        for i in range(200):
            append(stream, *(f"{i} {j}" for j in range(20)))
            time.sleep(0.002)

    pouring = asyncio.create_task(asyncio.to_thread(pour))
    seen, after = [], 0
    while len(seen) < 4000:
        page = await Page.of(alice)
        await page.say(log=stream, after=after)
        for _ in range(3):
            message = await page.hear()
            seen += [row[0] for row in message["lines"]]
            after = message["after"]
            if len(seen) >= 4000:
                break
        await page.close()
    await pouring
    assert seen == list(range(1, 4001))


@pytest.mark.promise("I-22")
async def test_a_lost_nudge_delays_a_line_but_does_not_lose_it(alice, app, monkeypatch):
    monkeypatch.setattr("apps.ears.PATIENCE", 0.1)
    page = await Page.of(alice)
    await page.say(log=app.log_stream, after=0)
    await page.settled()
    live.use_loop(None)  # nobody hears of what happens now
    append(app.log_stream, "unheard")
    assert (await page.hear())["lines"][0][4] == "unheard"
    await page.close()


async def test_messages_are_bounded_and_wait_for_a_slow_page(alice, app):
    for _ in range(40):
        append(app.log_stream, *["x"] * 1000)
    page = await Page.of(alice)
    await page.say(log=app.log_stream, after=0)
    messages = [await page.hear() for _ in range(16)]
    assert [len(message["lines"]) for message in messages] == [1000] * 16
    assert await page.quiet()  # not confirmed: nothing more is sent
    await page.say(log=app.log_stream, seen=messages[3]["after"])
    assert [(await page.hear())["after"] for _ in range(4)] == [17000, 18000, 19000, 20000]
    assert await page.quiet()
    await page.say(log=app.log_stream, seen=20000)
    assert len(await page.lines(20000)) == 20000
    await page.close()


async def test_a_message_has_a_quarter_of_a_megabyte_at_most(alice, app):
    append(app.log_stream, *["y" * 9000] * 100)
    page = await Page.of(alice)
    await page.say(log=app.log_stream, after=0)
    sizes = []
    while sum(n for n, _ in sizes) < 100:
        message = await page.hear()
        sizes.append((len(message["lines"]), len(json.dumps(message))))
    assert max(size for _, size in sizes) < 300_000
    await page.close()


async def test_lines_can_be_narrowed_down(alice, app):
    for n in range(10):
        append(app.log_stream, f"GET /{n}", dyno=f"web.{n % 2 + 1}")
        append(app.log_stream, f"tick {n}", dyno="clock.1")
        append(app.log_stream, f"at=info path=/{n}", source="heroku", dyno="router")
    for wish, expected in [
        ({"dyno": "web.2"}, ["GET /1", "GET /3", "GET /5", "GET /7", "GET /9"]),
        ({"dyno": "web", "text": "/4"}, ["GET /4"]),
        ({"source": "heroku", "text": "/4"}, ["at=info path=/4"]),
    ]:
        page = await Page.of(alice)
        await page.say(log=app.log_stream, after=0, **wish)
        assert [row[4] for row in (await page.hear())["lines"]] == expected
        await page.close()


@pytest.mark.promise("I-44")
async def test_sequences_that_steer_a_terminal_are_taken_out(alice, app):
    append(
        app.log_stream, b"\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\x07\x1b[1A\xe2\x80\xaeevil\x00\x9b<script>"
    )
    page = await Page.of(alice)
    await page.say(log=app.log_stream, after=0)
    assert (await page.hear())["lines"][0][4] == "\x1b[31mred\x1b[0m evil\ufffd<script>"
    await page.close()


# --- losing rights ----------------------------------------------------------------------------------------------------


async def closed(page, within):
    """The code that the socket is closed with, passing over what is still on its way."""
    deadline = time.monotonic() + within
    while True:
        output = await page.socket.receive_output(max(0.01, deadline - time.monotonic()))
        if output["type"] == "websocket.close":
            return output["code"]


def leave(alice, bob, app, team, cookie):
    account_actions.remove_member(team, bob, by=alice)


def suspend(alice, bob, app, team, cookie):
    account_actions.suspend(bob, by=alice)


def become_viewer(alice, bob, app, team, cookie):
    account_actions.set_role(team, bob, "viewer", by=alice)


def sign_out(alice, bob, app, team, client):
    client.logout()


def change_password(alice, bob, app, team, client):
    account_actions.change_password(bob, "an even finer one", by=bob)


def delete(alice, bob, app, team, client):
    account_actions.delete_user(bob, confirm=bob.email, by=bob)


def destroy(alice, bob, app, team, client):
    app_actions.destroy_app(app, confirm=app.name, by=alice)


@pytest.mark.promise("I-31")
@pytest.mark.parametrize("lose", [leave, suspend, become_viewer, sign_out, change_password, delete, destroy])
async def test_who_loses_a_right_loses_the_socket_within_5_seconds(alice, bob, app, team, lose):
    client, cookie = await db(session_of)(bob)
    page = Page(cookie)
    assert not await page.refused()
    await page.subscribed(app.topic)
    await page.say(log=app.log_stream, after=0)
    append(app.log_stream, "seen")
    assert (await page.hear())["lines"][0][4] == "seen"
    await db(lose)(alice, bob, app, team, client)
    assert await closed(page, 5) == 4403
    append(app.log_stream, "not for Bob")
    assert await page.socket.receive_nothing(timeout=0.2)


@pytest.mark.promise("I-31")
async def test_a_collaborator_who_is_removed_without_a_word_is_cut_off_too(alice, charlie, app):
    row = await db(app_actions.share)(app, charlie, ["view", "operate"], by=alice)
    page = await Page.of(charlie)
    await page.say(log=app.log_stream, after=0)
    append(app.log_stream, "seen")
    await page.hear()
    await Collaborator.objects.filter(pk=row.pk).adelete()  # as an operator might: no nudge
    assert await closed(page, 5) == 4403


async def test_who_loses_nothing_stays(alice, bob, app, team):
    page = await Page.of(bob)
    await page.subscribed(app.topic)
    await db(account_actions.set_role)(team, bob, "admin", by=alice)
    await db(live.tell)(app.topic)
    assert [(await page.hear())["topic"] for _ in "12"] == [f"user:{bob.pk}", app.topic]
    await page.close()
