"""The one way out (promise I-41)."""

import io
import ipaddress
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.errors import BuildFailed, EngineError, Refusal
from engine.outbound import Outbound, is_public
from tests.engine.workshop import Workshop, tar
from tests.ports import free_port

pytestmark = pytest.mark.promise("I-41")
PORT = free_port()


class Web(BaseHTTPRequestHandler):
    def do_GET(self):
        body, location = b"hello", None
        if self.path == "/in":
            location = "http://169.254.169.254/latest/meta-data/"
        if self.path == "/round":
            location = "/round"
        if self.path == "/big":
            body = bytes(3_000_000)
        if self.path == "/pack.tgz":
            files = {
                "top/bin/detect": "#!/bin/sh\necho Fetched\n",
                "top/bin/compile": "#!/bin/sh\necho compiled\n",
            }
            body = tar(files, mode="w:gz")
        self.send_response(302 if location else 404 if self.path == "/absent" else 200)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def web():
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Web)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{PORT}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://0/",
        "http://2130706433/",
        "http://127.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://10.1.2.3/",
        "http://172.20.0.1/",
        "http://192.168.0.1/",
        "http://169.254.169.254/latest/",
        "http://100.64.0.1/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://224.0.0.1/",
        "http://0.0.0.0/",
    ],
)
def test_internal_addresses_are_refused(url):
    with pytest.raises(Refusal, match="leads to an internal address"):
        Outbound().check(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", "starts with http"),
        ("file:///etc/passwd", "starts with http"),
        ("http://user:secret@93.184.216.34/", "Leave user name and password out"),
        ("http://93.184.216.34:22/", "Only ports 80 and 443"),
        ("http://93.184.216.34:99999/", "a port that is not one"),
        ("http://exam ple/", "not a URL"),
        ("http://a\r\nHost: b/", "not a URL"),
        ("http://[::1/", "not a URL"),
    ],
)
def test_odd_urls_are_refused(url, reason):
    with pytest.raises(Refusal, match=reason):
        Outbound().check(url)


def test_what_the_operator_lists_is_allowed(web):
    for allow in ("127.0.0.1", "127.0.0.0/8"):
        assert Outbound([allow]).request("GET", f"{web}/").body == b"hello"
    with pytest.raises(Refusal):
        Outbound(["10.0.0.0/8"]).request("GET", f"{web}/")


def test_the_checked_address_is_the_one_connected_to(web, monkeypatch):
    """A name that leads elsewhere the second time it is asked for changes nothing: it is asked for once."""
    asked, real = [], socket.getaddrinfo

    def answer(host, port, *args, **options):
        if host != "rebind.example":
            return real(host, port, *args, **options)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.9.9.9"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert Outbound(["127.0.0.1"]).request("GET", f"http://rebind.example:{PORT}/").status == 200
    assert asked == ["rebind.example"]


def test_one_internal_address_among_several_is_enough(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
    with pytest.raises(Refusal):
        Outbound().check("http://mixed.example/")


def test_downloads_are_bounded_and_redirects_checked(web):
    outbound, into = Outbound(["127.0.0.1"]), io.BytesIO()
    assert outbound.download(f"{web}/", into, max_bytes=100) == 5
    for path, reason in {
        "/big": "over 1 MB",
        "/in": "internal address",
        "/round": "too often",
        "/absent": "404",
    }.items():
        with pytest.raises(Refusal, match=reason):
            outbound.download(web + path, io.BytesIO(), max_bytes=2**20)
    assert outbound.download(f"{web}/big", io.BytesIO(), max_bytes=2**30, stop=lambda: True) == 0
    with pytest.raises(EngineError, match="cannot be reached"):
        outbound.download("http://127.0.0.1:1/", io.BytesIO(), max_bytes=1, seconds=2)


def test_a_buildpack_by_url(web, tmp_path):
    shop = Workshop(tmp_path / "data")
    url = f"{web}/pack.tgz"
    result = shop.build({"Procfile": "web: x"}, buildpacks=[url], outbound=Outbound(["127.0.0.1"]))
    assert result.buildpacks == ["Fetched"]
    assert b"compiled" in shop.lines
    with pytest.raises(BuildFailed, match=r"was not fetched: 127\.0\.0\.1 leads to an internal address"):
        shop.build({"Procfile": "web: x"}, buildpacks=[url])
    with pytest.raises(BuildFailed, match="was not fetched: Give a URL that starts with https"):
        shop.build({"Procfile": "web: x"}, buildpacks=[f"{web}/repo.git"], outbound=Outbound(["127.0.0.1"]))
    with pytest.raises(BuildFailed, match="a branch or tag name that is not one"):
        shop.build({"Procfile": "web: x"}, buildpacks=["https://93.184.216.34/x.git#--upload-pack=x"])


def test_public_addresses():
    assert is_public(ipaddress.ip_address("93.184.216.34"))
    assert not is_public(ipaddress.ip_address("::ffff:127.0.0.1"))
