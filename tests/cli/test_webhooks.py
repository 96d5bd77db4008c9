"""Webhooks and log drains by the CLI, with receivers that really get something."""

import base64
import hashlib
import hmac
import json
import re

import pytest

from tests.cli.conftest import squeezed
from tests.receivers import Receiver, SyslogReceiver, frames
from tests.waiting import eventually

APP = ("-a", "example-told-app")
ID = r"[0-9a-f]{8}-[0-9a-f-]{27}"


@pytest.fixture(scope="module")
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def app(heroku):
    heroku("create", "example-told-app", "--no-remote")


def test_a_webhook_is_added_and_told(heroku, app, receiver):
    url = f"{receiver.url}/hooks"
    said = heroku("webhooks:add", "-i", "api:release,api:formation", "-l", "notify", "-u", url, *APP)
    secret = re.search(r"[0-9a-f]{64}", said)[0]
    listed = squeezed(heroku("webhooks", *APP))
    assert url in listed and "api:release,api:formation notify" in listed
    hook = re.search(ID, listed)[0]
    info = squeezed(heroku("webhooks:info", hook, *APP))
    assert f"URL: {url}" in info and "Level: notify" in info and secret not in info
    heroku("config:set", "GREETING=hush", *APP)
    eventually(lambda: receiver.received)
    got = receiver.received[0]
    signed = hmac.new(secret.encode(), got.body, hashlib.sha256).digest()
    assert got.headers["heroku-webhook-hmac-sha256"] == base64.b64encode(signed).decode()
    told = json.loads(got.body)
    assert (told["resource"], told["action"]) == ("release", "create")
    assert told["data"]["description"] == "Set GREETING config var"
    assert b"hush" not in got.body


def test_what_was_told_can_be_looked_at(heroku, app, receiver):
    listed = squeezed(heroku("webhooks:deliveries", *APP))
    assert "succeeded" in listed and "api:release notify 1 200" in listed
    assert "has no deliveries" in heroku("webhooks:deliveries", "--status", "failed", *APP)
    delivery = json.loads(receiver.received[0].body)["webhook_metadata"]["delivery"]["id"]
    info = squeezed(heroku("webhooks:deliveries:info", delivery, *APP))
    assert "Status: succeeded" in info and '"resource": "release"' in re.sub(r"\x1b\[[\d;]*m", "", info)
    events = squeezed(heroku("webhooks:events", *APP))
    event = json.loads(receiver.received[0].body)["id"]
    assert event in events and "release create" in events
    assert '"action": "create"' in squeezed(heroku("webhooks:events:info", event, *APP))


def test_it_is_changed_and_removed(heroku, app, receiver):
    hook = re.search(ID, heroku("webhooks", *APP))[0]
    said = heroku(
        "webhooks:update", hook, "-i", "api:nothing", "-l", "sync", "-u", receiver.url, *APP, status=2
    )
    assert "api:nothing" in said and "api:addon-attachment" in said
    heroku("webhooks:update", hook, "-i", "dyno", "-l", "sync", "-u", receiver.url, *APP)
    assert "dyno sync" in squeezed(heroku("webhooks", *APP))
    heroku("webhooks:remove", hook, *APP)
    assert "has no webhooks" in heroku("webhooks", *APP)
    assert "Couldn't find" in heroku("webhooks:info", hook, *APP, status=2)


def test_a_pipeline_has_webhooks_too(heroku, app, receiver):
    heroku("pipelines:create", "told-pipeline", *APP, "-s", "staging")
    heroku("webhooks:add", "-i", "api:pipeline", "-l", "sync", "-u", receiver.url, "-p", "told-pipeline")
    before = len(receiver.received)
    heroku("pipelines:rename", "told-pipeline", "told-anew")
    eventually(lambda: len(receiver.received) > before)
    assert json.loads(receiver.received[-1].body)["data"]["name"] == "told-anew"
    assert "api:pipeline sync" in squeezed(heroku("webhooks", "-p", "told-anew"))
    heroku("pipelines:destroy", "told-anew")


def test_an_internal_address_is_refused(heroku, app):
    said = heroku("webhooks:add", "-i", "dyno", "-l", "sync", "-u", "http://10.0.0.1/", *APP, status=2)
    assert "internal address" in said


def test_drains(heroku, app, receiver):
    syslog, before = SyslogReceiver(), len(receiver.received)
    url = f"{receiver.url}/drain?a=b%20c&x=1"
    assert url in heroku("drains:add", url, *APP)
    assert "Successfully added" in heroku("drains:add", f"syslog://127.0.0.1:{syslog.port}", *APP)
    listed = heroku("drains", *APP)
    tokens = re.findall(rf"d\.{ID}", listed)
    assert f"{url} ({tokens[0]})" in squeezed(listed) and len(tokens) == 2
    heroku("config:set", "GREETING=again", *APP)
    eventually(lambda: len(receiver.received) > before and syslog.messages)
    got = receiver.received[before]
    assert (got.path, got.headers["logplex-drain-token"]) == ("/drain?a=b%20c&x=1", tokens[0])
    assert re.match(r"<190>1 \S+ host app api - Set GREETING config var", frames(got.body)[0])
    assert f" {tokens[1]} app api - " in syslog.messages[0]
    assert "Successfully removed" in heroku("drains:remove", url, *APP)
    assert "Successfully removed" in heroku("drains:remove", tokens[1], *APP)
    assert "d." not in heroku("drains", *APP)
    assert "Couldn't find" in heroku("drains:remove", url, *APP, status=2)
    syslog.stop()
