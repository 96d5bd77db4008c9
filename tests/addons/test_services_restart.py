"""A Docker engine that restarts under the servers of add-ons: they, their data and the apps that use them come back."""

import http.client
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

import pytest

from addons.providers import embedded, provider_for
from addons.providers.mailer import password_of, user_of
from core.errors import EngineError
from engine.drivers.swarm import SwarmDriver
from engine.servers.mailer import Mailer
from engine.servers.swarm import SwarmServers
from engine.spec import ProcessSpec
from tests.addons.test_services import order
from tests.databases import IMAGE, KINDS, PORTS, image_on
from tests.engine.driver_contract import Recorder, Slugs
from tests.rig import Rig, can_rig
from tests.servers import FAST
from tests.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
INSTANCE = "servers-restart"
WITHIN = 60.0  # seconds until all is as it was
APP = """
import base64, http.server, json, os, smtplib, socket, struct, subprocess

def said(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout.strip()

def cached():
    # The binary protocol: sign in, set, get.
    host, port = os.environ["CACHE_SERVERS"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), 5) as line:
        def ask(code, key, extras, value):
            line.sendall(struct.pack(">BBHBBHIIQ", 0x80, code, len(key), len(extras), 0, 0, len(key + extras + value), 0, 0) + extras + key + value)
            head = line.recv(24, socket.MSG_WAITALL)
            status, size = struct.unpack(">H", head[6:8])[0], struct.unpack(">I", head[8:12])[0]
            return status, line.recv(size, socket.MSG_WAITALL) if size else b""
        given = "\\0".join(["", os.environ["CACHE_USERNAME"], os.environ["CACHE_PASSWORD"]]).encode()
        assert ask(0x21, b"PLAIN", b"", given)[0] == 0
        assert ask(0x01, b"a", struct.pack(">II", 0, 0), b"quick")[0] == 0
        return ask(0x00, b"a", b"", b"")[1][4:].decode()

def mailed():
    with smtplib.SMTP(os.environ["MAILER_SMTP_HOST"], int(os.environ["MAILER_SMTP_PORT"]), timeout=5) as smtp:
        smtp.login(os.environ["MAILER_SMTP_USER"], os.environ["MAILER_SMTP_PASSWORD"])
        smtp.sendmail("shop@example.com", ["ines@example.com"], b"Subject: hello")
    return "kept"

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            found = [said("psql", os.environ["DATABASE_URL"], "-tAc", "SELECT n FROM t"),
                     said(*os.environ["ASK_STORE"].split(), "get", "a"), cached(), mailed()]
        except (OSError, AssertionError, smtplib.SMTPException) as error:
            found = [repr(error)]
        self.send_response(200); self.end_headers(); self.wfile.write(json.dumps(found).encode())
    def log_message(self, *args): pass

http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
WHOLE = ["7", "1", "quick", "kept"]


@dataclass
class Box:
    """Where mail lands, for one order."""

    wanted: object
    kept: list = field(default_factory=list)

    def box(self, user, password):
        return "one" if (user, password) == (user_of(self.wanted), password_of(self.wanted)) else None

    def put(self, box, mail):
        self.kept.append(mail)
        return True


@pytest.fixture(scope="module")
def rig(engine):
    can_rig()
    made = Rig(1)
    try:
        yield made.start(image_on(engine))
    finally:
        made.stop()


@pytest.fixture
def box():
    return Box(order("mailer"))


@pytest.fixture
def servers(rig, box, tmp_path, settings, monkeypatch):
    """Servers on the engine of the rig's node, which they and apps know by its address."""
    node = rig.nodes[0]
    settings.ENGINE_URL = f"swarm+{node.url}"
    found = SwarmServers(
        tmp_path / "servers",
        url=node.url,
        instance=INSTANCE,
        images=dict.fromkeys(KINDS, IMAGE),
        ports=PORTS,
        address=node.address,
        settings={name: value for name, value in FAST.items() if name not in ("fsync", "synchronous_commit")},
    )
    # The platform is on the other side of the bridge here, and so is what takes mail.
    found.mailer = Mailer(tmp_path / "servers", ports=PORTS, post=box, where=lambda: f"{rig.net}.1")
    monkeypatch.setattr(embedded, "servers", lambda: found)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def driver(rig, tmp_path):
    slugs = Slugs(tmp_path / "slugs")
    driver = SwarmDriver(
        rig.nodes[0].url,
        sink=Recorder(),
        tree=slugs.tree,
        instance=INSTANCE,
        images={"slipway-24": IMAGE},
        ports=range(21600, 21650),
        publish=True,  # its addresses are in a network namespace of its own
        keep=False,
    )
    driver.slug = slugs.make(**{"app.py": APP})
    yield driver
    driver.close()


class App:
    """One that uses all of them. It is started again when it has ended, as a conductor does."""

    def __init__(self, driver, env):
        self.driver, self.env, self.numbers, self.spec = driver, env, count(1), None

    def says(self):
        states = {state.id: state for state in self.driver.observe("shop")}
        state = self.spec and states.get(self.spec.id)
        if state is None or state.state == "crashed":
            self.spec = ProcessSpec(
                id=f"shop-{next(self.numbers)}", app="shop", dyno="web.1", command="exec python3 -IS app.py",
                slug=self.driver.slug, env=self.env, slot=1, web=True,
            )  # fmt: skip
            with suppress(EngineError):  # it is away for a moment; a conductor tries again, too
                self.driver.apply("shop", [self.spec])
            return None
        if state.state != "up":
            return None
        line = http.client.HTTPConnection(state.host, state.port, timeout=20)
        try:
            line.request("GET", "/")
            return json.loads(line.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            line.close()


def test_after_the_engine_restarts_everything_is_back_within_a_minute(rig, servers, driver, box):
    env = {}
    for service, name in (
        ("heroku-postgresql", "DATABASE"),
        ("heroku-redis", "STORE"),
        ("memcachier", "CACHE"),
    ):
        wanted = order(service, limits={"memory_mb": 25})
        found = eventually(lambda service=service, wanted=wanted: provider_for(service).provision(wanted), 60)
        env |= {f"{name}_{suffix}": value for suffix, value in found.config.items()}
    env |= {
        f"MAILER_{suffix}": value
        for suffix, value in provider_for("mailer").provision(box.wanted).config.items()
    }
    inside = rig.nodes[0]
    task = inside.docker("ps", "-q", "--filter", "label=com.docker.swarm.service.name").split()
    inside.docker("exec", task[0], "psql", env["DATABASE_URL"], "-c", "CREATE TABLE t AS SELECT 7 AS n")
    store = urlsplit(env["STORE_URL"])
    env |= {"REDISCLI_AUTH": store.password, "ASK_STORE": f"redis-cli -h {store.hostname} -p {store.port}"}
    auth = f"REDISCLI_AUTH={store.password}"
    said = inside.docker("exec", "-e", auth, task[0], *env["ASK_STORE"].split(), "set", "a", "1")
    assert said == "OK"
    time.sleep(1.5)  # until what Valkey has taken is on disk
    app = App(driver, env)
    eventually(lambda: app.says() == WHOLE, 60)
    first, mails = app.spec, len(box.kept)
    inside.restart()
    began = time.monotonic()
    eventually(lambda: app.says() == WHOLE and app.spec != first, WITHIN)
    took = time.monotonic() - began
    assert len(box.kept) > mails
    assert took < WITHIN
