"""An app's own certificates with the stock CLI, from an authority that openssl made to https requests by host name."""

import re
import socket
import ssl

import pytest

from tests.cli.conftest import squeezed
from tests.waiting import eventually

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@pytest.fixture(scope="module")
def authority(heroku, tmp_path_factory):
    """Issues certificates in the shell's folder: `authority("one", "www.certs.test")` makes one.crt and one.key."""
    folder = tmp_path_factory.mktemp("authority")
    openssl = ("openssl", "req", "-x509", "-days", "60", *CURVE)
    heroku.run(*openssl, "-subj", "/CN=Story root", "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem")

    def issue(name, *hosts):
        names = ",".join(f"DNS:{host}" for host in hosts)
        issued = ("-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key")
        kind = ("-subj", f"/CN={hosts[0]}", "-addext", f"subjectAltName={names}")
        leaf = ("-addext", "basicConstraints=critical,CA:FALSE")
        heroku.run(*openssl, *issued, *kind, *leaf, "-keyout", f"{name}.key", "-out", f"{name}.crt")

    issue.trusted = folder / "ca.pem"
    return issue


@pytest.fixture(scope="module")
def app(heroku):
    """An app that answers, with no certificate yet."""
    heroku("create", "certs")
    assert "certs has no SSL certificates" in heroku("certs")
    heroku.run("git", "push", "heroku", "main")
    return "certs"


def https(platform, authority, host):
    """The body of the answer to `host`, verified up to the authority, and the serial number that was shown."""
    context = ssl.create_default_context(cafile=authority.trusted)
    with (
        socket.create_connection(("127.0.0.1", platform.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        serial = secure.getpeercert()["serialNumber"]
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: secure.recv(65536), b""))
    return answer.partition(b"\r\n\r\n")[2].decode(), serial


def verifies(platform, authority, host):
    """Whether `host` shows a certificate of the authority."""
    try:
        return bool(https(platform, authority, host))
    except ssl.SSLError:
        return False


def test_add_a_certificate_and_then_its_domain(heroku, platform, authority, app):
    authority("one", "www.certs.test", "api.certs.test")
    said = squeezed(heroku("certs:add", "one.crt", "one.key"))
    assert "Common Name(s): www.certs.test" in said and "api.certs.test" in said
    assert "Issuer: /CN=Story root" in said and "SSL certificate is not trusted." in said
    name = re.search(r"^\s*([a-z]+-\d+)", heroku("certs"), re.M)[1]
    assert "www.certs.test" in heroku("domains:add", "www.certs.test", "--cert", name)
    heroku("domains:wait", "www.certs.test")
    assert name in heroku("domains")
    eventually(lambda: verifies(platform, authority, "www.certs.test"), seconds=20)
    assert https(platform, authority, "www.certs.test")[0] == "hello from web.1"
    assert "www.certs.test" in heroku("certs:info", "--show-domains")


def test_the_only_certificate_that_covers_a_domain_is_taken(heroku, platform, authority, app):
    heroku("domains:add", "api.certs.test", "--wait")
    eventually(lambda: verifies(platform, authority, "api.certs.test"), seconds=20)
    assert squeezed(heroku("certs")).rstrip().endswith("2")


def test_update_is_seen_by_the_next_visitor(heroku, platform, authority, app):
    before = https(platform, authority, "www.certs.test")[1]
    authority("two", "*.certs.test")
    heroku("certs:update", "two.crt", "two.key", "--confirm", app)
    eventually(lambda: https(platform, authority, "www.certs.test")[1] != before, seconds=20)
    assert "*.certs.test" in heroku("certs:info")


def test_the_prompt_offers_the_domains_that_are_covered(heroku, platform, authority, app):
    authority("three", "www.certs.test")
    shown = heroku.at_terminal("certs:add", "three.crt", "three.key", answers={"Select domains": " \r"})
    assert heroku.status == 0, shown
    known = re.findall(r"^\s*([a-z]+-\d+)", heroku("certs"), re.M)
    taken = re.search(r"www\.certs\.test.*?([a-z]+-\d+)", heroku("domains"))[1]
    three = next(name for name in known if "*.certs.test" not in heroku("certs:info", "--name", name))
    assert taken == three
    other = next(name for name in known if name != three)
    heroku("domains:update", "www.certs.test", "--cert", other)
    assert re.search(rf"www\.certs\.test.*{other}", heroku("domains"))
    heroku("certs:remove", "--name", three, "--confirm", app)


def test_a_wildcard_domain_answers_for_what_is_below(heroku, platform, authority, app):
    heroku("domains:add", "*.certs.test")
    eventually(lambda: verifies(platform, authority, "any.certs.test"), seconds=20)
    assert https(platform, authority, "any.certs.test")[0] == "hello from web.1"


def test_what_is_wrong_is_said(heroku, authority, app):
    authority("four", "www.elsewhere.test")
    assert "not the certificate's" in heroku("certs:add", "four.crt", "one.key", status=2)
    said = heroku("certs:update", "four.crt", "four.key", "--confirm", app, status=2)
    assert "Give one that covers all of them" in squeezed(said.replace("›", "").replace("\n", " "))


def test_generate_and_add_a_self_signed_one(heroku, app):
    heroku("certs:generate", "own.certs.example", "--now", "--selfsigned")
    said = heroku("certs:add", "own.certs.example.crt", "own.certs.example.key")
    assert "SSL certificate is self signed." in said
    assert "heroku certs:update" in heroku("certs:generate", "own.certs.example", "--now")


def test_automatic_certificates_say_what_to_do_instead(heroku, app):
    assert "is disabled on" in heroku("certs:auto")
    assert "heroku certs:add" in heroku("certs:auto:enable", status=2)
    assert "heroku certs:add" in heroku("certs:auto:refresh", status=2)
    heroku("certs:auto:disable", "--confirm", app)


def test_removed_the_domain_stays_without(heroku, platform, authority, app):
    for name in re.findall(r"^\s*([a-z]+-\d+)", heroku("certs"), re.M):
        heroku("certs:remove", "--name", name, "--confirm", app)
    eventually(lambda: not verifies(platform, authority, "www.certs.test"), seconds=20)
    assert platform.http("GET", "/", host="www.certs.test") == (200, "hello from web.1")
    assert "certs has no SSL certificates" in heroku("certs")
    heroku("apps:destroy", "--confirm", app)
    assert platform.audit() == []
