"""Which certificate the router shows: the app's own for its domain, else the local authority's."""

import asyncio
import ssl

import pytest

from engine import certificates
from engine.spec import Certificate
from engine.tls import LocalCA
from tests.certificates import ROOT, leaf
from tests.engine.router_rig import OK, Rig, says


@pytest.fixture
def rig(tmp_path):
    rig = Rig()
    rig.options = {"ca": LocalCA(tmp_path)}
    return rig


def given(made):
    """How the engine is told of a certificate."""
    return Certificate(made.chain, made.key_pem)


async def shown(rig, name):
    """What the router answers over TLS to `name` (verified up to our root), and the serial number that it showed."""
    context = ssl.create_default_context(cadata=ROOT.pem)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", rig.router.port, ssl=context, server_hostname=name
    )
    serial = int(writer.get_extra_info("ssl_object").getpeercert()["serialNumber"], 16)
    writer.write(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read(-1)
    writer.close()
    return answer.rpartition(b"\r\n\r\n")[2], serial


async def test_each_host_shows_its_own(rig):
    one, two = leaf("www.example.com"), leaf("www.shop.com")
    async with rig:
        hosts = {"shop.localhost", "www.example.com", "www.shop.com"}
        chosen = {"www.example.com": given(one), "www.shop.com": given(two)}
        await rig.app(says(OK), hosts=hosts, certificates=chosen)
        assert await shown(rig, "www.example.com") == (b"ok", one.certificate.serial_number)
        assert await shown(rig, "WWW.shop.com") == (b"ok", two.certificate.serial_number)


async def test_without_a_certificate_the_local_authority_answers(rig):
    async with rig:
        certificate = given(leaf("www.example.com"))
        hosts = {"shop.localhost", "www.example.com", "shop.test"}
        await rig.app(says(OK), hosts=hosts, certificates={"www.example.com": certificate})
        ours = ssl.create_default_context(cafile=rig.options["ca"].certificate)
        for name in ("shop.localhost", "shop.test", "localhost"):
            _, writer = await rig.open(ssl=ours, server_hostname=name)
            writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await shown(rig, "unknown.example.com")


async def test_another_certificate_is_shown_at_the_next_handshake(rig):
    old, new = leaf(), leaf()
    async with rig:
        dyno = await rig.app(
            says(OK), hosts={"www.example.com"}, certificates={"www.example.com": given(old)}
        )
        assert (await shown(rig, "www.example.com"))[1] == old.certificate.serial_number
        rig.put(dyno, hosts={"www.example.com"}, certificates={"www.example.com": given(new)})
        assert (await shown(rig, "www.example.com"))[1] == new.certificate.serial_number
        rig.put(dyno, hosts={"www.example.com"})
        with pytest.raises(ssl.SSLCertVerificationError):
            await shown(rig, "www.example.com")
        rig.put(dyno, hosts={"www.example.com"}, certificates={"www.example.com": given(new)})
        rig.router.drop("a1")
        with pytest.raises(ssl.SSLCertVerificationError):
            await shown(rig, "www.example.com")


async def test_a_wildcard_answers_for_one_label_and_yields_to_an_exact_name(rig):
    star, exact = leaf("*.example.com"), leaf("www.example.com")
    async with rig:
        await rig.app(
            says(OK), app="a1", hosts={"*.example.com"}, certificates={"*.example.com": given(star)}
        )
        other = says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
        own = {"www.example.com": given(exact)}
        await rig.app(other, app="a2", name="other", hosts={"www.example.com"}, certificates=own)
        assert await shown(rig, "any.example.com") == (b"ok", star.certificate.serial_number)
        assert await shown(rig, "www.example.com") == (b"other", exact.certificate.serial_number)
        with pytest.raises(ssl.SSLCertVerificationError):
            await shown(rig, "a.b.example.com")


async def test_an_apps_certificate_never_speaks_for_the_platform(rig):
    async with rig:
        rig.router.control_hosts |= {"slipway.example.com"}
        await rig.app(
            says(OK), hosts={"*.example.com"}, certificates={"*.example.com": given(leaf("*.example.com"))}
        )
        with pytest.raises(ssl.SSLCertVerificationError):
            await shown(rig, "slipway.example.com")


async def test_a_certificate_is_parsed_once_for_all_its_hosts_and_routes(rig, monkeypatch):
    parsed = []
    parse = certificates.context
    monkeypatch.setattr(certificates, "context", lambda *args: parsed.append(args) or parse(*args))
    one = given(leaf("www.example.com", "api.example.com"))
    hosts = {"www.example.com", "api.example.com"}
    async with rig:
        parsed.clear()
        dyno = await rig.app(says(OK), hosts=hosts, certificates=dict.fromkeys(hosts, one))
        for _ in range(3):
            rig.put(dyno, hosts=hosts, certificates=dict.fromkeys(hosts, one), maintenance=True)
            await shown(rig, "www.example.com")
        assert len(parsed) == 1


async def test_one_that_can_not_be_used_leaves_the_app_reachable(rig, caplog):
    async with rig:
        broken = Certificate(leaf().chain, leaf().key_pem)  # the key of another
        await rig.app(
            says(OK),
            hosts={"shop.localhost", "www.example.com"},
            certificates={"www.example.com": broken},
        )
        assert (await rig.get(host="www.example.com")).endswith(b"ok")
    assert "does not take a certificate of shop" in caplog.text
    assert "PRIVATE" not in caplog.text and "PRIVATE" not in repr(broken)
