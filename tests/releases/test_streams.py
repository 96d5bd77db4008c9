"""Log streams for programs: who may read them, and how they resume and end."""

import asyncio
import re
import time
import uuid
from datetime import UTC, datetime

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext

from accounts import actions as account_actions
from apps import actions as app_actions
from apps import logs
from apps.follow import follow
from core import live
from core.errors import Forbidden, NotFound
from engine.spec import Line
from releases import readers, streams
from releases.actions import create_build
from releases.models import Build
from tests.factories import make_app, make_release, make_source

pytestmark = pytest.mark.django_db(transaction=True)
db = sync_to_async


@pytest.fixture(autouse=True)
async def loop():
    live.use_loop(asyncio.get_running_loop())
    cache.clear()
    yield
    live.use_loop(None)


@pytest.fixture
def app(alice, team):
    return make_app("shop", owner=team)


@pytest.fixture
def build(app, alice):
    return create_build(app, make_source(app), by=alice)


def append(stream, *texts, source="app", dyno="web.1"):
    return logs.store().append(stream, [Line(source, dyno, t.encode(), 1795633227.5) for t in texts])


async def get(url, **headers):
    path = url.removeprefix(settings.URL)
    return await AsyncClient().get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def read(response):
    return b"".join([part async for part in response.streaming_content])


# --- the policy ---------------------------------------------------------------------------------------------------


@pytest.mark.promise("I-29")
def test_who_may_read_what(alice, bob, vera, charlie, app, build):
    release = make_release(app)
    output = [build.log_stream, release.log_stream]
    for user in (alice, bob, vera):
        assert [streams.stream_for(user, s) for s in output] == output
    assert streams.stream_for(bob, app.log_stream) == app.log_stream
    with pytest.raises(Forbidden):
        streams.stream_for(vera, app.log_stream)
    for stream in (*output, app.log_stream):
        with pytest.raises(NotFound):
            streams.stream_for(charlie, stream)


@pytest.mark.promise("I-28")
def test_what_is_no_stream_looks_like_a_foreign_one(alice, charlie, app, build):
    names = ["", "app", "app/", f"app/{app.name}", f"build/{uuid.uuid4()}", f"slug/{app.pk}", "app/../x"]
    refused = [build.log_stream, *names]
    texts = set()
    for user, stream in [(charlie, build.log_stream), *((alice, name) for name in names)]:
        with pytest.raises(NotFound) as refusal:
            streams.stream_for(user, stream)
        texts.add((refusal.value.id, refusal.value.status))
    assert len(refused) == 8
    assert texts == {("not_found", 404)}


# --- output of builds and releases ------------------------------------------------------------------------------


async def test_output_is_text_until_its_end(alice, build):
    append(build.log_stream, "-----> Python", dyno="build")
    response = await get(await db(streams.output_url)(build, by=alice))
    assert (response.status_code, response["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert response["Cache-Control"] == "private, no-store"

    async def more():
        append(build.log_stream, "done\x1b[0m", dyno="build")
        await asyncio.to_thread(logs.store().end, build.log_stream)

    body = response.streaming_content
    assert await anext(body) == b"-----> Python\n"
    rest = asyncio.create_task(anext(body))
    await more()
    assert await rest == b"done\x1b[0m\n"
    assert [part async for part in body] == []


async def test_output_resumes_at_a_byte(alice, build):
    append(build.log_stream, "one", "two", "three")
    logs.store().end(build.log_stream)
    url = await db(streams.output_url)(build, by=alice)
    for start in (0, 2, 4, 13, 14):
        response = await get(url, range=f"bytes={start}-")
        assert response.status_code == 206
        assert response["Content-Range"].startswith(f"bytes {start}-")
        assert await read(response) == b"one\ntwo\nthree\n"[start:]


async def test_output_as_events_resumes_after_one(alice, build):
    append(build.log_stream, "one", "t\x1b[2Jwo\rTWO", "three")
    logs.store().end(build.log_stream)
    url = await db(streams.output_url)(build, by=alice)
    response = await get(url, accept="text/event-stream", last_event_id="1")
    assert response["Content-Type"] == "text/event-stream"
    assert await read(response) == b"id: 2\ndata: TWO\n\nid: 3\ndata: three\n\n"


async def test_output_ends_with_the_build_even_if_nobody_said_so(alice, build, monkeypatch):
    monkeypatch.setattr("apps.follow.PATIENCE", 0.1)
    append(build.log_stream, "killed")
    response = await get(await db(streams.output_url)(build, by=alice))
    await Build.objects.filter(pk=build.pk).aupdate(status="failed")
    assert await asyncio.wait_for(read(response), 5) == b"killed\n"


@pytest.mark.promise("I-29")
async def test_an_address_is_good_for_one_stream_and_some_hours(alice, build, app, monkeypatch):
    url = await db(streams.output_url)(build, by=alice)
    other = await db(create_build)(app, await db(make_source)(app), by=alice)
    assert (await get(url.replace(str(build.pk), str(other.pk)))).status_code == 404
    assert (await get(url.replace("/build/", "/release/"))).status_code == 404
    assert (await get(url[:-1] + ("a" if url[-1] != "a" else "b"))).status_code == 404
    assert (await get(f"{settings.URL}/streams/build/{build.pk}/x")).status_code == 404
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + streams.OUTPUT_SECONDS + 1)
    assert (await get(url)).status_code == 404


@pytest.mark.promise("I-31")
async def test_who_loses_the_right_to_output_is_cut_off_within_5_seconds(alice, bob, team, build):
    url = await db(streams.output_url)(build, by=bob)
    response = await get(url)
    body = response.streaming_content
    append(build.log_stream, "seen")
    assert await anext(body) == b"seen\n"
    await db(account_actions.remove_member)(team, bob, by=alice)
    start = time.monotonic()
    await read(response)
    assert time.monotonic() - start < 5
    assert (await get(url)).status_code == 404


@pytest.mark.promise("I-31")
async def test_a_suspended_account_s_addresses_are_dead(alice, bob, build):
    url = await db(streams.output_url)(build, by=bob)
    await db(account_actions.suspend)(bob, by=alice)
    assert (await get(url)).status_code == 404


async def test_only_reading(alice, build):
    path = (await db(streams.output_url)(build, by=alice)).removeprefix(settings.URL)
    assert (await AsyncClient().post(path)).status_code in (403, 405)


# --- log sessions -------------------------------------------------------------------------------------------------


async def session(app, by, **wish):
    return await db(streams.log_session_url)(app, by=by, **wish)


async def test_a_session_sends_the_last_lines_as_the_command_line_expects(alice, app):
    append(app.log_stream, *map(str, range(150)))
    append(app.log_stream, "State changed from starting to up", source="heroku", dyno="web.1")
    response = await get(await session(app, alice, lines=2), accept="text/event-stream")
    assert (response.status_code, response["Content-Type"]) == (200, "text/event-stream")
    at = datetime.fromtimestamp(1795633227.5, UTC).isoformat(timespec="microseconds")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.500000\+00:00", at)
    assert (await read(response)).decode() == (
        "retry: 1\nid: 149\n\n"
        f"id: 150\ndata: {at} app[web.1]: 149\n\n"
        f"id: 151\ndata: {at} heroku[web.1]: State changed from starting to up\n\n"
    )


async def test_who_does_not_accept_events_gets_the_lines(alice, app):
    append(app.log_stream, "one", "two")
    url = await session(app, alice, lines=1, tail=True)
    response = await get(url, accept="*/*")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    body = response.streaming_content
    assert re.fullmatch(rb"\S+ app\[web\.1\]: two\n", await anext(body))
    append(app.log_stream, "three")
    assert re.fullmatch(rb"\S+ app\[web\.1\]: three\n", await anext(body))
    await body.aclose()


async def test_a_session_can_be_of_one_source_or_dyno(alice, app):
    for n in range(5):
        append(app.log_stream, f"web {n}")
        append(app.log_stream, f"job {n}", dyno="worker.1")
        append(app.log_stream, f"at=info {n}", source="heroku", dyno="router")
    for wish, expected in [
        ({"dyno": "worker"}, [f"job {n}" for n in range(5)]),
        ({"source": "heroku", "lines": 2}, ["at=info 3", "at=info 4"]),
        ({"dyno": "web.2"}, []),
    ]:
        body = (await read(await get(await session(app, alice, **wish)))).decode()
        assert re.findall(r"\]: (.*)", body) == expected


async def test_a_tail_goes_on_and_is_resumed_after_the_last_event(alice, app):
    append(app.log_stream, "one", "two")
    url = await session(app, alice, tail=True, lines=1)
    body = (await get(url, accept="text/event-stream")).streaming_content
    assert await anext(body) == b"retry: 1\nid: 1\n\n"
    assert b"id: 2\n" in await anext(body)
    beat = await anext(body)
    append(app.log_stream, "three")
    while beat.startswith(b":"):
        beat = await anext(body)
    assert b"id: 3\n" in beat and beat.endswith(b"]: three\n\n")
    await body.aclose()
    append(app.log_stream, "four")
    again = (await get(url, last_event_id="3")).streaming_content
    assert await anext(again) == b"retry: 1\n\n"
    assert b"]: four" in await anext(again)
    await again.aclose()


async def test_a_session_is_opened_once(alice, app):
    url = await session(app, alice)
    assert (await get(url)).status_code == 200
    assert (await get(url)).status_code == 404


async def test_an_old_session_is_gone(alice, app, monkeypatch):
    url = await session(app, alice, tail=True)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + streams.SESSION_SECONDS + 1)
    assert (await get(url, last_event_id="1")).status_code == 404


@pytest.mark.promise("I-31")
async def test_a_tail_ends_with_the_right_to_read_it(alice, charlie, app):
    row = await db(app_actions.share)(app, charlie, ["view", "operate"], by=alice)
    response = await get(await session(app, charlie, tail=True), accept="text/event-stream")
    body = response.streaming_content
    assert await anext(body)
    await db(app_actions.unshare)(row, by=alice)
    start = time.monotonic()
    rest = await read(response)
    assert time.monotonic() - start < 5
    assert b"id: 2" not in rest


async def asked_with(secret, app, **wish):
    """The address of a log session, as a program with this API token gets it."""
    answer = await AsyncClient().post(
        f"/apps/{app.name}/log-sessions",
        wish,
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}", "Accept": "application/vnd.heroku+json; version=3"},
    )
    return answer.json()["logplex_url"]


@pytest.mark.promise("I-31")
async def test_a_tail_ends_with_the_token_that_it_was_asked_for_with(alice, app):
    (token, secret), (_, other) = [await db(account_actions.create_token)(alice, by=alice) for _ in "12"]
    events = {"accept": "text/event-stream"}
    response = await get(await asked_with(secret, app, tail=True), **events)
    spared = (await get(await asked_with(other, app, tail=True), **events)).streaming_content
    unopened = await asked_with(secret, app, tail=True)
    assert await anext(response.streaming_content)
    assert await anext(spared)
    await db(account_actions.revoke_token)(token, by=alice)
    start = time.monotonic()
    await read(response)
    assert time.monotonic() - start < 5
    assert (await get(unopened)).status_code == 404
    append(app.log_stream, "for the other one")
    while b"for the other one" not in await anext(spared):
        pass
    await spared.aclose()


@pytest.mark.promise("I-31")
async def test_the_addresses_in_answers_end_with_the_token_too(alice, app, build):
    token, secret = await db(account_actions.create_token)(alice, by=alice)
    headers = {"Authorization": f"Bearer {secret}"}
    answer = await AsyncClient().get(f"/apps/{app.name}/builds/{build.pk}", headers=headers)
    url = answer.json()["output_stream_url"]
    assert (await get(url)).status_code == 200
    await db(account_actions.revoke_token)(token, by=alice)
    assert (await get(url)).status_code == 404


@pytest.mark.promise("I-24")
async def test_no_line_can_pass_for_another_one(alice, app):
    append(
        app.log_stream, "x\r2026-01-01T00:00:00.000000+00:00 heroku[router]: forged\ndata: forged\n\nid: 9"
    )
    body = (await read(await get(await session(app, alice)))).decode()
    shown = [line for line in body.split("\n") if line.startswith("data: ")]
    assert all(re.match(r"data: \S+ app\[web\.1\]: ", line) for line in shown)
    assert [line for line in body.split("\n") if line.startswith("id: 9")] == []


async def test_many_readers_of_a_log_get_each_line_and_ask_the_database_once(alice, app):
    append(app.log_stream, *[f"line {n}" for n in range(5)])
    grant = streams.Grant(app.log_stream, by=str(alice.pk))
    asked = await db(CaptureQueriesContext(connection).__enter__)()

    async def read_ten():
        seen = []
        async for first, records in follow(app.log_stream):
            assert (await readers.standing(grant)).holds
            seen += range(first, first + len(records))
            if len(seen) >= 10:
                return seen

    reading = [asyncio.create_task(read_ten()) for _ in range(20)]
    await asyncio.sleep(0)
    for n in range(5, 10):
        append(app.log_stream, f"line {n}")
    assert await asyncio.wait_for(asyncio.gather(*reading), 5) == [list(range(1, 11))] * 20
    assert await db(lambda: len(asked))() < 20
    await db(asked.__exit__)(None, None, None)
