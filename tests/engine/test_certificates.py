"""What is read from certificates that people paste, and what is turned down."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from core.errors import Refusal
from engine import certificates
from engine.certificates import covers, read
from tests.certificates import MIDDLE, ROOT, issue, leaf, pem_of


def refused(chain, key):
    with pytest.raises(Refusal) as caught:
        read(chain, key)
    return caught.value


def test_it_says_what_the_certificate_says():
    made = leaf("www.example.com", "*.example.com")
    facts = read(made.chain, made.key_pem)
    assert facts.domains == ("www.example.com", "*.example.com")
    assert (facts.subject, facts.issuer) == ("/CN=www.example.com", "/CN=Test intermediate")
    assert (facts.expires_at - facts.starts_at).days == 90
    assert not facts.trusted and not facts.self_signed
    assert "PRIVATE KEY" not in repr(facts)


def test_a_chain_is_put_in_order_and_told_apart_from_what_is_not_in_it():
    made, other = leaf(), leaf("other.example.com", issuer=issue("Other authority", ca=True))
    assert read(ROOT.pem + MIDDLE.pem + made.pem, made.key_pem).chain == made.pem + MIDDLE.pem + ROOT.pem
    assert read(made.pem + "text between\n" + made.pem, made.key_pem).chain == made.pem
    error = refused(made.pem + other.issuer.pem, made.key_pem)
    assert "“/CN=Other authority” did not issue this certificate" in error.message
    assert "“/CN=Test intermediate”" in error.message


def test_an_authoritys_other_certificates_of_the_same_name_do_no_harm():
    made = leaf()
    crossed = issue("Test root", issuer=issue("Elder root", ca=True), ca=True, key=ROOT.key)
    facts = read(made.pem + MIDDLE.pem + ROOT.pem + crossed.pem, made.key_pem)
    assert facts.chain.startswith(made.pem + MIDDLE.pem) and facts.chain.count("BEGIN") == 3


def test_a_key_pasted_along_with_the_chain_is_not_kept():
    made = leaf()
    assert "PRIVATE" not in read(made.key_pem + made.chain, made.key_pem).chain


def test_the_key_of_another_certificate_is_turned_down():
    error = refused(leaf().chain, leaf().key_pem)
    assert "private key is not the certificate's" in error.message
    assert "private_key" in error.fields


def test_a_common_name_counts_when_there_are_no_others():
    made = issue("www.example.com", alternative=False)
    facts = read(made.pem, made.key_pem)
    assert facts.domains == ("www.example.com",) and facts.self_signed


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (leaf(start=-91), "expired on"),
        (leaf(start=3), "not valid before"),
        (leaf("localhost"), "for no host name"),
        (leaf(key=rsa.generate_private_key(65537, 1024)), "use 2048 to 4096"),
        (leaf(key=ec.generate_private_key(ec.SECP256K1())), "this kind of key"),
        (leaf(key=ed25519.Ed25519PrivateKey.generate()), "this kind of key"),
    ],
)
def test_what_no_browser_would_take_is_turned_down(made, text):
    assert text in refused(made.chain, made.key_pem).message


@pytest.mark.parametrize(
    ("chain", "text"),
    [
        ("", "begins with -----BEGIN CERTIFICATE"),
        ("hello", "begins with -----BEGIN CERTIFICATE"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "can't be read"),
        ("-----BEGIN CERTIFICATE-----\né\0\n-----END CERTIFICATE-----", "can't be read"),
        ("x" * (certificates.MAX_CHAIN + 1), "64 kB at most"),
        ("".join(leaf().pem for _ in range(11)), "10 certificates at most"),
    ],
)
def test_a_chain_that_can_not_be_read_is_told(chain, text):
    assert text in refused(chain, leaf().key_pem).message


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("", "begins with -----BEGIN PRIVATE KEY"),
        ("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----", "can't be read"),
        ("x" * (certificates.MAX_KEY + 1), "8 kB at most"),
        (
            leaf()
            .key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"pass"),
            )
            .decode(),
            "has a passphrase",
        ),
    ],
)
def test_a_key_that_can_not_be_read_is_told_without_showing_it(key, text):
    error = refused(leaf().chain, key)
    assert text in error.message and "secret" not in error.message
    assert error.__cause__ is None or "secret" not in str(error.__cause__)


def test_what_a_terminal_might_obey_is_not_passed_on():
    made = leaf(issuer=issue("evil\x1b[2J\nname", ca=True))
    assert read(made.pem, made.key_pem).issuer == "/CN=evil?[2J?name"


def test_a_key_of_an_older_form_is_read():
    key = rsa.generate_private_key(65537, 2048)
    made = leaf(key=key)
    older = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    assert read(made.chain, older.decode()).key == pem_of(key)


@pytest.mark.parametrize(
    ("hostname", "is_covered"),
    [
        ("example.com", True),
        ("www.shop.test", True),
        ("*.shop.test", True),
        ("shop.test", False),
        ("a.b.shop.test", False),
        ("www.example.com", False),
    ],
)
def test_a_star_stands_for_one_label(hostname, is_covered):
    assert covers(["example.com", "*.shop.test"], hostname) is is_covered
