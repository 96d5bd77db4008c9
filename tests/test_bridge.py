"""The proxy for the CLI's fixed hosts: what it brings home, what it refuses, and what it survives."""

import asyncio
import json
import ssl
from contextlib import asynccontextmanager, suppress

import pytest
from asgiref.sync import sync_to_async
from cryptography import x509

from accounts.actions import create_token
from api.resources.bridged.hosts import HOSTS
from config import bridging, cli
from config.bridge import Bridge, Instance
from config.tls import local_ca
from config.tunnels import HEAD_BYTES, Refused
from engine.outbound import Outbound
from engine.tls import LocalCA
from tests.ports import free_port
from tests.releases.conftest import server  # noqa: F401


@pytest.fixture
def ca(tmp_path):
    return LocalCA(tmp_path / "bridge", permitted=HOSTS)


@pytest.fixture
def bridge(ca):
    """Runs a bridge for the instance at a URL; tells the port."""

    @asynccontextmanager
    async def run(url, **options):
        made = Bridge(Instance(url, "localhost", "localhost:1"), ca, **options)
        _, port = await made.start("127.0.0.1", 0)
        try:
            yield port
        finally:
            await made.stop()

    return run


@pytest.fixture
async def echo():
    """Stands where Slipway or another host would, and answers with what it was sent."""

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(head) + head)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()


async def ask(port, first, then=b"", *, tls=None, name=None):
    """Say `first` to the bridge, and `then` in the tunnel that it opens; returns all that comes back at last."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(first)
        if then:
            opened = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            if b" 200 " not in opened.partition(b"\r\n")[0]:
                return opened + await reader.read()
            if tls:
                await writer.start_tls(tls, server_hostname=name)
            writer.write(then)
        return await asyncio.wait_for(reader.read(), 15)
    finally:
        writer.close()


def request(path, token="", host="x", extra="", method="GET"):
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{extra}\r\n"
    ).encode()


def connect(where):
    return f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode()


def status(answer):
    return int(answer.split(b" ", 2)[1])


def body(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


# --- what it brings home ----------------------------------------------------------------------------------------------


@pytest.fixture
def token(alice):
    return create_token(alice, by=alice)[1]


async def test_fixed_hosts_are_answered_by_this_slipway(server, bridge, ca, token):  # noqa: F811
    trusting = ssl.create_default_context(cafile=str(ca.certificate))
    async with bridge(server.url) as port:
        for at in ("telex.heroku.com:443", "telex.heroku.com:8000"):
            told = await ask(
                port,
                connect(at),
                request("/user/notifications", token),
                tls=trusting,
                name="telex.heroku.com",
            )
            assert (status(told), body(told)) == (200, [])
        plain = await ask(
            port, connect("particleboard.heroku.com:8000"), request("/favorites?type=app", token)
        )
        assert (status(plain), body(plain)) == (200, [])
        whole = await ask(port, request("http://particleboard.heroku.com:8000/favorites", token))
        assert (status(whole), body(whole)) == (200, [])
        stranger = await ask(port, request("http://particleboard.heroku.com/favorites", "wrong"))
        assert status(stranger) == 401
        unknown = await ask(port, request("http://particleboard.heroku.com/account", token))
        assert (status(unknown), body(unknown)["id"]) == (404, "not_found")


async def test_bodies_get_through(server, bridge, token, alice):  # noqa: F811
    from tests.factories import make_app

    await sync_to_async(make_app)("shop", owner=alice)
    said = b'{"type": "app", "resource_id": "shop"}'
    extra = f"Content-Type: application/json\r\nContent-Length: {len(said)}\r\n"
    async with bridge(server.url) as port:
        sent = request("http://particleboard.heroku.com/favorites", token, extra=extra, method="POST") + said
        made = await ask(port, sent)
    assert (status(made), body(made)["resource_name"]) == (201, "shop")


async def test_what_is_for_this_slipway_is_passed_on(server, bridge, token):  # noqa: F811
    at = server.url.rpartition(":")[2]
    async with bridge(server.url) as port:
        for host in ("localhost", "127.0.0.1", "shop.localhost"):
            answer = await ask(
                port, connect(f"{host}:{at}"), request("/apps", token, "localhost", "Connection: close\r\n")
            )
            assert (status(answer), body(answer)) == (200, []), host
        answer = await ask(port, request(f"http://localhost:{at}/apps", token))
        assert (status(answer), body(answer)) == (200, [])


async def test_headers_that_are_the_proxy_s_own_are_not_passed_on(bridge, echo):
    extra = (
        "X-Forwarded-For: 1.2.3.4\r\nProxy-Authorization: Basic eDp5\r\nForwarded: for=x\r\nX-Kept: yes\r\n"
    )
    async with bridge(f"http://localhost:{echo}") as port:
        sent = (await ask(port, request("http://telex.heroku.com/a%20b?c=d", "t", extra=extra))).decode()
    assert f"GET /_fixed/telex.heroku.com/a%20b?c=d HTTP/1.1\r\nhost: localhost:{echo}\r\n" in sent
    assert "x-kept: yes" in sent and "connection: close" in sent
    for name in ("x-forwarded-for", "proxy-authorization", "forwarded"):
        assert name not in sent.lower()


async def test_a_slipway_that_is_away_is_told(bridge, ca):
    trusting = ssl.create_default_context(cafile=str(ca.certificate))
    async with bridge(f"http://localhost:{(gone := free_port())}") as port:
        answer = await ask(
            port, connect("telex.heroku.com:443"), request("/x"), tls=trusting, name="telex.heroku.com"
        )
        assert (status(answer), body(answer)["message"]) == (
            502,
            f"Nobody answers at localhost:{gone}. Is it running?",
        )
        assert status(await ask(port, connect(f"localhost:{gone}"))) == 502


# --- what it refuses --------------------------------------------------------------------------------------------------

ELSEWHERE = [
    "169.254.169.254:80",
    "localhost:22",
    "127.0.0.1:5432",
    "[::1]:22",
    "0.0.0.0:80",
    "2130706433:80",
    "10.0.0.1:443",
    "example.com:443",
    "kolkrabbi.heroku.com.example.com:443",
    "api.heroku.com:443",
    "github.com:443",
    "xlocalhost:80",
]


@pytest.mark.parametrize("where", ELSEWHERE)
async def test_it_leads_nowhere_else(bridge, echo, where):
    async with bridge(f"http://localhost:{echo}") as port:
        for asked in (connect(where), request(f"http://{where}/")):
            answer = await ask(port, asked)
            assert status(answer) == 403
            assert "--relay" in body(answer)["message"]


@pytest.mark.parametrize(
    "where",
    [
        "169.254.169.254:80",
        "localhost:80",
        "127.0.0.1:80",
        "[::1]:80",
        "2130706433:80",
        "10.0.0.1:443",
        "1.1.1.1:22",
    ],
)
async def test_a_relay_leads_to_nothing_internal(bridge, echo, where):
    async with bridge(f"http://localhost:{echo}", relay=Outbound()) as port:
        for asked in (connect(where), request(f"http://{where}/")):
            assert status(await ask(port, asked)) in (403, 502)


async def test_a_relay_leads_elsewhere(bridge, echo):
    async with bridge(f"http://localhost:{free_port()}", relay=Outbound(["127.0.0.1"])) as port:
        assert b"GET /through" in await ask(port, connect(f"127.0.0.1:{echo}"), request("/through"))
        assert b"GET /whole" in await ask(port, request(f"http://127.0.0.1:{echo}/whole"))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),  # as a page in a browser could send it
        (b"GET https://telex.heroku.com/ HTTP/1.1\r\n\r\n", 400),
        (b"GET ftp://x/ HTTP/1.1\r\n\r\n", 400),
        (b"GET http://[/ HTTP/1.1\r\n\r\n", 400),
        (b"GET http://x:99999/ HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT telex.heroku.com HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT telex.heroku.com:443 HTTP/1.1\r\n\r\n\x16early", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET http://telex.heroku.com/ HTTP/1.1\r\nA b: c\r\n\r\n", 400),
        (b"GET http://telex.heroku.com/ HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET http://telex.heroku.com/ HTTP/1.1\r\nA: b\nC: d\r\n\r\n", 400),
        (b"GET http://telex.heroku.com/ HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
        (b"GET http://telex.heroku.com/ HTTP/1.1\r\nA: " + b"b" * 2 * HEAD_BYTES, 431),
    ],
)  # fmt: skip
async def test_what_is_no_proper_request_is_refused(bridge, echo, said, why):
    async with bridge(f"http://localhost:{echo}") as port:
        assert status(await ask(port, said)) == why
        assert b"GET /_fixed" in await ask(port, request("http://telex.heroku.com/"))  # it still works


async def test_a_huge_head_in_a_tunnel_is_refused(bridge, echo):
    async with bridge(f"http://localhost:{echo}") as port:
        said = b"GET / HTTP/1.1\r\nA: " + b"b" * 4 * HEAD_BYTES
        assert status(await ask(port, connect("telex.heroku.com:80"), said)) == 431


async def test_slow_clients_are_hung_up_on(bridge, echo):
    async with bridge(f"http://localhost:{echo}", head_seconds=0.3) as port:
        assert await ask(port, b"GET http://telex.heroku.com/ HTTP/1.1\r\nA") == b""
        assert await ask(port, connect("telex.heroku.com:443"), b"\x16\x03\x01") == b""  # half a handshake
        assert await ask(port, connect("telex.heroku.com:80"), b"GET /") == b""


async def test_of_too_many_clients_the_last_are_hung_up_on(bridge, echo):
    async with bridge(f"http://localhost:{echo}", connections=2) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for _, writer in idle:
            writer.write(b"GET")
            await writer.drain()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        for _, other in [*idle, (reader, writer)]:
            other.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.com", ""])
async def test_it_listens_on_loopback_only(ca, host):
    with pytest.raises(Refused, match="loopback only"):
        await Bridge(Instance("http://localhost:1", "localhost", "localhost:1"), ca).start(host, 0)


# --- whom it asks to trust --------------------------------------------------------------------------------------------


async def test_it_has_no_certificate_for_other_names(bridge, echo, ca):
    trusting = ssl.create_default_context(cafile=str(ca.certificate))
    async with bridge(f"http://localhost:{echo}") as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(
                port, connect("telex.heroku.com:443"), request("/"), tls=trusting, name="api.heroku.com"
            )


def permitted(path):
    constraints = x509.load_pem_x509_certificate(path.read_bytes()).extensions
    return {
        str(tree.value)
        for tree in constraints.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
    }


def test_the_instance_s_own_authority_never_speaks_for_them():
    own, bridges = local_ca().certificate, bridging.bridge_ca().certificate
    assert not permitted(own) & set(HOSTS)
    assert set(HOSTS) <= permitted(bridges)
    assert not {name for name in permitted(bridges) if name.endswith(".com")} - {*HOSTS, "example.com"}
    text = bridging.bundle().read_text()
    assert own.read_text() in text and bridges.read_text() in text


def test_its_variables_lead_to_it_and_past_nothing(tmp_path):
    found = cli.bridged({"A": "b"}, proxy="127.0.0.1:8877", bundle=tmp_path / "bundle.pem")
    lines = cli.exports(found).splitlines()
    assert lines[0] == "unset SSL_CERT_FILE SSL_CERT_DIR"
    assert "export HTTPS_PROXY=http://127.0.0.1:8877" in lines
    assert "export NO_PROXY=''" in lines
    assert not cli.exports({"A": "b"}).startswith("unset")
