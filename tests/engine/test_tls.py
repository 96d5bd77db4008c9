"""The authority of this instance, and https on the router's only port."""

import asyncio
import datetime
import ssl
import stat

import pytest
from cryptography import x509

from engine import tls
from engine.tls import LocalCA
from tests.engine.router_rig import OK, Rig, header, says, until


def trusting(ca):
    """A client's context that believes this authority and no other."""
    return ssl.create_default_context(cafile=ca.certificate)


async def asked(rig, context, name, host):
    """The answer over TLS for a server name."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", rig.router.port, ssl=context, server_hostname=name
    )
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read(-1)
    writer.close()
    return answer


def with_ca(ca):
    """A rig that speaks TLS too."""
    rig = Rig()
    rig.options = {"ca": ca}
    return rig


async def test_http_and_https_share_the_port(tmp_path):
    ca = LocalCA(tmp_path)
    async with with_ca(ca) as rig:
        dyno = await rig.app(says(OK), hosts={"shop.localhost", "shop.test"})
        secure = [await asked(rig, trusting(ca), name, name) for name in ("shop.localhost", "shop.test")]
        plain = await rig.get()
        line = await rig.line("protocol=https")
    assert all(answer.endswith(b"ok") for answer in (*secure, plain))
    assert [header(head, "x-forwarded-proto") for head in dyno.heads] == [["https"], ["https"], ["http"]]
    assert "status=200" in line


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "nobody.localhost"])
async def test_own_names_and_addresses_verify(tmp_path, name):
    ca = LocalCA(tmp_path)
    async with with_ca(ca) as rig:
        answer = await asked(rig, trusting(ca), name, name)
    assert answer.startswith(b"HTTP/1.1 ")


async def test_unknown_names_get_no_certificate_of_their_own(tmp_path):
    ca = LocalCA(tmp_path)
    async with with_ca(ca) as rig:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asked(rig, trusting(ca), "unknown.test", "unknown.test")


async def test_the_authority_can_not_speak_for_public_names(tmp_path):
    ca = LocalCA(tmp_path)
    async with with_ca(ca) as rig:
        await rig.app(says(OK), hosts={"www.bank.com"})
        with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
            await asked(rig, trusting(ca), "www.bank.com", "www.bank.com")


async def test_names_that_the_operator_permits_verify(tmp_path):
    ca = LocalCA(tmp_path, permitted=["apps.acme.com"])
    async with with_ca(ca) as rig:
        await rig.app(says(OK), hosts={"shop.apps.acme.com"})
        assert (await asked(rig, trusting(ca), "shop.apps.acme.com", "shop.apps.acme.com")).endswith(b"ok")


async def test_a_large_answer_passes_over_tls(tmp_path):
    ca = LocalCA(tmp_path)
    async with with_ca(ca) as rig:
        await rig.app(says(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000))
        answer = await asked(rig, trusting(ca), "shop.localhost", "shop.localhost")
    assert len(answer) > 3_000_000


async def test_without_an_authority_https_is_turned_away():
    async with Rig() as rig:
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await asked(rig, ssl.create_default_context(), "localhost", "localhost")


async def test_a_handshake_that_does_not_come_is_ended(tmp_path):
    rig = Rig(header=0.1)
    rig.options = {"ca": LocalCA(tmp_path)}
    async with rig:
        assert await rig.ask(b"\x16\x03\x01") == b""
        await until(lambda: not rig.router.fronts)


def test_the_authority_is_made_once_and_its_key_is_kept_close(tmp_path):
    first = LocalCA(tmp_path / "ca").certificate.read_bytes()
    second = LocalCA(tmp_path / "ca")
    assert second.certificate.read_bytes() == first
    assert stat.S_IMODE((tmp_path / "ca" / "ca.key").stat().st_mode) == 0o600
    assert sorted(p.name for p in (tmp_path / "ca").iterdir()) == [".lock", "ca.key", "ca.pem"]


def test_a_key_that_is_not_the_certificates_is_refused(tmp_path):
    LocalCA(tmp_path / "one")
    LocalCA(tmp_path / "two")
    (tmp_path / "one" / "ca.key").write_bytes((tmp_path / "two" / "ca.key").read_bytes())
    with pytest.raises(ValueError, match="remove both"):
        LocalCA(tmp_path / "one")


def test_a_certificate_is_replaced_before_it_ends(tmp_path, monkeypatch):
    ca = LocalCA(tmp_path)
    first = ca._leaf("shop.localhost")
    assert ca._leaf("shop.localhost") is first
    monkeypatch.setattr(tls, "RENEW_DAYS", tls.LEAF_DAYS + 1)
    assert ca._leaf("shop.localhost") is not first


def test_certificates_in_memory_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(tls, "MAX_LEAFS", 3)
    ca = LocalCA(tmp_path)
    for i in range(5):
        ca._leaf(f"a{i}.localhost")
    assert list(ca._leafs) == ["a2.localhost", "a3.localhost", "a4.localhost"]


def test_the_authority_is_constrained(tmp_path):
    certificate = x509.load_pem_x509_certificate(LocalCA(tmp_path).certificate.read_bytes())
    limits = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical and x509.DNSName("localhost") in limits.value.permitted_subtrees
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert left > datetime.timedelta(days=3600)
