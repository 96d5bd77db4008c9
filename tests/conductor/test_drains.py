"""Log lines reach their drains in order, once or more, whatever those do."""

import base64
import os
import ssl
import subprocess
import sys
import time
import urllib.request
from urllib.parse import urlencode

import pytest
from django.conf import settings as current
from django.db import connection

from addons import actions as addon_actions
from addons import manifests, partners
from apps.drains import add_drain, remove_drain
from apps.logs import store
from apps.models import LogDrain
from conductor.drains import Drains
from conductor.parts import Parts
from engine.logstore import LogStore
from engine.spec import Line
from tests.addons.test_partners import manifest_at, order
from tests.addons.test_partners import sample as sample
from tests.certificates import issue
from tests.conftest import eventually
from tests.factories import make_app
from tests.receivers import Receiver, SyslogReceiver, frames

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings, tmp_path):
    settings.OUTBOUND_ALLOW = ["127.0.0.1", "localhost"]
    settings.WEBHOOK_SECONDS, settings.WEBHOOK_RETRY_SECONDS = 0.5, 0.3
    settings.DATA = tmp_path
    store.cache_clear()
    yield
    store().close()
    store.cache_clear()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def syslog():
    receiver = SyslogReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def app(transactional_db, alice):
    return make_app("shop", owner=alice)


@pytest.fixture
def drains(transactional_db):
    running = []

    def start():
        parts = Parts(None, None, store(), None, current.DATA)
        found = Drains(parts)
        found.start()
        running.append(found)
        return found

    yield start
    for one in running:
        one.stop()


def until(check, drains, seconds=10):
    def look():
        drains.look()
        return check()

    return eventually(look, seconds)


def say(app, *texts, dyno="web.1", source="app"):
    store().append(app.log_stream, [Line(source, dyno, text.encode(), time.time()) for text in texts])


def got(receiver):
    return [text.partition(" - ")[2].rstrip("\n") for one in receiver.received for text in frames(one.body)]


def signed_in(addon, by):
    """The page that a partner shows to somebody who is signed in there."""
    made = partners.sign_in(addon, addon.app.name, by=by)
    with urllib.request.urlopen(made.url, urlencode(made.fields).encode(), timeout=10) as answer:
        return answer.read().decode()


def said(receiver):
    return [text.partition(" - ")[2] for text in receiver.messages]


def test_https_drains_get_batches_with_a_count(app, alice, receiver, drains):
    say(app, "before")
    drain = add_drain(app, f"{receiver.url.replace('//', '//me:p%40ss@')}/in?x=1", by=alice)
    say(app, "one", "two")
    say(app, 'at=info method=GET path="/"', dyno="router", source="heroku")
    until(lambda: len(got(receiver)) == 3, drains())
    first = receiver.received[0]
    assert first.path == "/in?x=1"
    assert first.headers["content-type"] == "application/logplex-1"
    assert first.headers["logplex-msg-count"] == str(len(frames(first.body)))
    assert first.headers["logplex-drain-token"] == drain.token and first.headers["logplex-frame-id"]
    assert first.headers["authorization"] == f"Basic {base64.b64encode(b'me:p@ss').decode()}"
    assert got(receiver) == ["one", "two", 'at=info method=GET path="/"']
    texts = [text for one in receiver.received for text in frames(one.body)]
    assert texts[0].startswith("<190>1 20") and " host app web.1 - one\n" in texts[0]
    assert texts[2].startswith("<158>1 20") and " host heroku router - " in texts[2]


def test_the_partner_of_an_addon_gets_the_log_until_that_goes(app, alice, drains, sample):
    manifests.load(manifests.parse(manifest_at(sample)), by=alice)
    addon = order(app, alice)
    say(app, "one", "two")
    until(lambda: LogDrain.objects.filter(sent_at__isnull=False, last_error=""), drains())
    assert "2 lines of its log" in signed_in(addon, alice)
    addon_actions.destroy(addon, confirm=addon.name, by=alice)
    assert not LogDrain.objects.exists()


def test_syslog_drains_get_frames_over_one_connection(app, alice, syslog, drains):
    drain = add_drain(app, f"syslog://127.0.0.1:{syslog.port}", by=alice)
    running = drains()
    say(app, "one", "grüße")
    until(lambda: said(syslog) == ["one", "grüße"], running)
    eventually(lambda: LogDrain.objects.get().position == store().last(app.log_stream))
    say(app, "three")
    until(lambda: said(syslog) == ["one", "grüße", "three"], running)
    assert len(syslog.connections) == 1
    assert f" {drain.token} app web.1 - one" in syslog.messages[0]
    eventually(lambda: LogDrain.objects.get().position == store().last(app.log_stream))
    syslog.drop()
    say(app, "four")
    until(lambda: said(syslog)[-1] == "four", running)
    remove_drain(LogDrain.objects.get(), by=alice)
    until(lambda: not running._connections, running)


def test_syslog_over_tls_to_whom_we_trust_only(app, alice, drains, tmp_path, monkeypatch):
    root = issue("Root", ca=True)
    leaf = issue("localhost", issuer=root)
    (tmp_path / "leaf.pem").write_text(leaf.chain + leaf.key_pem)
    (tmp_path / "root.pem").write_text(root.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf.pem")
    receiver, running = SyslogReceiver(context), drains()
    add_drain(app, f"syslog+tls://localhost:{receiver.port}", by=alice)
    say(app, "one")
    until(lambda: LogDrain.objects.get().failures, running)
    assert "certificate" in LogDrain.objects.get().last_error.lower() and not receiver.messages
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    until(lambda: said(receiver) == ["one"], running)
    eventually(lambda: LogDrain.objects.get().position == store().last(app.log_stream))
    say(app, "two")
    until(lambda: said(receiver) == ["one", "two"], running)
    assert len(receiver.connections) == 1
    receiver.stop()


def test_a_drain_that_was_away_gets_what_it_missed_in_order(app, alice, receiver, drains):
    add_drain(app, receiver.url, by=alice)
    receiver.answers = [500, "hang", "garbage"]
    say(app, "one")
    running = drains()
    until(lambda: len(receiver.received) >= 1, running)
    say(app, "two")
    until(lambda: LogDrain.objects.get().position == store().last(app.log_stream), running)
    assert got(receiver)[-2:] == ["one", "two"]
    row = LogDrain.objects.get()
    assert (row.failures, row.last_error) == (0, "")


def test_what_went_wrong_is_told(app, alice, receiver, drains):
    add_drain(app, f"{receiver.url}/?token=hush", by=alice)
    receiver.status = 503
    say(app, "one")
    until(lambda: LogDrain.objects.get().failures, drains())
    assert LogDrain.objects.get().last_error == "It answers 503."


def test_a_drain_too_far_behind_is_told_how_much_it_missed(app, alice, receiver, drains, settings):
    settings.DRAIN_LINES = 3
    add_drain(app, receiver.url, by=alice)
    say(app, *(str(number) for number in range(10)))
    until(lambda: len(got(receiver)) == 4, drains())
    told, *rest = got(receiver)
    assert told.startswith("Error L10 (output buffer overflow): 7 messages dropped since 20")
    assert frames(receiver.received[0].body)[0].startswith("<172>1 ")
    assert rest == ["7", "8", "9"]


def test_many_lines_come_complete_and_in_order(app, alice, receiver, drains):
    add_drain(app, receiver.url, by=alice)
    lines = [f"{number} {'x' * 200}" for number in range(5000)]
    say(app, *lines)
    until(lambda: len(got(receiver)) >= 5000, drains())
    assert got(receiver) == lines and len(receiver.received) >= 3


@pytest.mark.promise("I-41")
def test_what_became_an_internal_address_is_not_reached(app, alice, receiver, syslog, drains, settings):
    add_drain(app, receiver.url, by=alice)
    add_drain(app, f"syslog://127.0.0.1:{syslog.port}", by=alice)
    settings.OUTBOUND_ALLOW = []
    say(app, "one")
    until(lambda: not LogDrain.objects.filter(failures=0).exists(), drains())
    assert "internal address" in LogDrain.objects.first().last_error
    assert not receiver.received and not syslog.messages


def test_drains_that_hang_delay_nobody_else(app, alice, bob, receiver, drains, settings):
    settings.WEBHOOK_SECONDS = 2
    hanging = Receiver("hang")
    for number in range(10):
        stuck = make_app(f"stuck-{number}", owner=bob)
        add_drain(stuck, hanging.url, by=bob)
        say(stuck, "one")
    add_drain(app, receiver.url, by=alice)
    running = drains()
    until(lambda: len(hanging.received) == 10, running)
    began = time.monotonic()
    say(app, "one")
    until(lambda: got(receiver), running)
    assert time.monotonic() - began < 1.5
    hanging.stop()


def test_a_conductor_that_is_killed_loses_nothing(app, alice, receiver, drains, tmp_path):
    add_drain(app, receiver.url, by=alice)
    say(app, "one", "two")
    store().flush()
    code = (
        "import django; django.setup(); from conductor.drains import Drains, LogDrain; "
        "from conductor.parts import Parts; from apps.logs import store; "
        "Drains(Parts(None, None, store(), None, None))._turn(LogDrain.objects.get().pk)"
    )
    died = subprocess.run([sys.executable, "-c", code], env=_environment(), capture_output=True, timeout=60)
    assert died.returncode == -9, died.stderr.decode()
    assert got(receiver) == ["one", "two"] and LogDrain.objects.get().position == 0
    say(app, "three")
    until(lambda: got(receiver)[-1] == "three", drains())
    assert got(receiver) == ["one", "two", "one", "two", "three"]


def _environment():
    name = connection.settings_dict["NAME"]
    url = os.environ.get("TEST_DATABASE_URL", "")
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"{url.rpartition('/')[0]}/{name}" if url else f"sqlite:///{name}",
        "SLIPWAY_DATA": str(current.DATA),
        "SLIPWAY_KEYS": ",".join(current.SLIPWAY_KEYS),
        "SLIPWAY_OUTBOUND_ALLOW": "127.0.0.1",
        "FAILPOINTS": "drain.sent=kill",
    }


def test_a_log_that_began_anew_is_sent_from_its_beginning(app, alice, receiver, drains):
    say(app, "one", "two")
    add_drain(app, receiver.url, by=alice)
    store().drop(app.log_stream)
    say(app, "three")
    until(lambda: got(receiver) == ["three"], drains())
    assert isinstance(store(), LogStore)
