"""What a certificate and its key say, and whether a server can show them: read from the PEM that people paste."""

import os
import re
import ssl
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from core.errors import Refusal
from core.names import HOSTNAME

MAX_CHAIN, MAX_KEY = 64 * 1024, 8 * 1024  # characters of PEM
MAX_CERTIFICATES = 10
RSA_BITS = (2048, 4096)
CLOCKS_DIFFER = timedelta(days=1)
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True)
class Facts:
    """A certificate that can be shown: its chain in order and its key as PEM, and what it says."""

    chain: str
    key: str = field(repr=False)
    subject: str
    issuer: str
    domains: tuple[str, ...]  # in lower case; may begin with `*.`
    starts_at: datetime
    expires_at: datetime
    trusted: bool  # up to an authority that this machine trusts
    self_signed: bool


def read(chain: str, key: str, *, now: datetime | None = None) -> Facts:
    """What `chain`, certificates in any order, and `key` say, both PEM; a `Refusal` that says what to do when they
    do not belong together, are over, or no server could use them."""
    private = _key(key)
    ordered = _in_order(_certificates(chain), private)
    leaf = ordered[0]
    _demand_valid(leaf, now or datetime.now(UTC))
    facts = Facts(
        chain="".join(_pem(one) for one in ordered),
        key=private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        subject=_shown(leaf.subject),
        issuer=_shown(leaf.issuer),
        domains=_domains(leaf),
        starts_at=leaf.not_valid_before_utc,
        expires_at=leaf.not_valid_after_utc,
        trusted=_is_trusted(ordered),
        self_signed=_issued(leaf, leaf),
    )
    try:
        context(facts.chain, facts.key)
    except ssl.SSLError as error:
        raise _no_chain(f"No server can use this certificate: OpenSSL says “{error.reason}”.") from error
    return facts


def covers(domains: Sequence[str], hostname: str) -> bool:
    """Whether a certificate for `domains` is one for `hostname`; a star stands for one label."""
    return hostname in domains or "*." + hostname.partition(".")[2] in domains


def context(chain: str, key: str) -> ssl.SSLContext:
    """A server's context that shows this chain; `ssl.SSLError` when OpenSSL does not take it. The key touches no disk,
    though OpenSSL reads files only: the file is in memory, and nobody else's."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    with os.fdopen(os.memfd_create("certificate"), "wb") as file:
        file.write(f"{key}\n{chain}".encode())
        file.flush()
        made.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return made


# --- the key --------------------------------------------------------------------------------------------------------

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def _key(text: str) -> Key:
    if len(text) > MAX_KEY:
        raise _no_key(f"A private key has {MAX_KEY // 1024} kB at most.")
    if "PRIVATE KEY-----" not in text:
        raise _no_key("Give the private key as PEM: it begins with -----BEGIN PRIVATE KEY-----.")
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError as error:
        take_off = "openssl pkey -in server.key -out plain.key"
        raise _no_key(f"The private key has a passphrase. Take it off first: {take_off}") from error
    except (ValueError, UnsupportedAlgorithm):  # what they say may hold a part of the key
        raise _no_key("The private key can't be read. Copy the whole file, BEGIN and END included.") from None
    if isinstance(key, rsa.RSAPrivateKey):
        if not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
            raise _no_key(f"The private key has {key.key_size} bits; use 2048 to 4096, or an elliptic curve.")
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, CURVES):
        return key
    raise _no_key("Browsers don't take this kind of key. Use RSA, or an elliptic curve such as prime256v1.")


# --- the chain ------------------------------------------------------------------------------------------------------


def _certificates(text: str) -> list[x509.Certificate]:
    if len(text) > MAX_CHAIN:
        raise _no_chain(f"A certificate with its chain has {MAX_CHAIN // 1024} kB at most.")
    blocks = [match[0] for match in _PEM.finditer(text) if match[1].endswith("CERTIFICATE")]
    if not blocks:
        raise _no_chain("Give the certificate as PEM: it begins with -----BEGIN CERTIFICATE-----.")
    if len(blocks) > MAX_CERTIFICATES:
        raise _no_chain(f"A chain has {MAX_CERTIFICATES} certificates at most. Give one site's only.")
    try:
        return list(dict.fromkeys(x509.load_pem_x509_certificate(block.encode()) for block in blocks))
    except ValueError as error:
        raise _no_chain(
            "A certificate can't be read. Copy the whole file, BEGIN and END included."
        ) from error


def _in_order(found: list[x509.Certificate], key: Key) -> list[x509.Certificate]:
    """The certificate of `key`, then each one's issuer, as servers have to send them."""
    own = [one for one in found if _public(one) == key.public_key()]
    if not own:
        raise Refusal(
            "The private key is not the certificate's. Give the key that the certificate was asked for with.",
            fields={"private_key": "This is not the certificate's key."},
        )
    # One key may have had several certificates: the newest is meant.
    ordered = [max(own, key=lambda one: one.not_valid_after_utc)]
    rest = [one for one in found if one not in own]
    while (last := ordered[-1]).issuer != last.subject:
        issuer = next((one for one in rest if _issued(last, one)), None)
        if issuer is None:
            break
        ordered.append(issuer)
        rest.remove(issuer)
    names = {one.subject for one in ordered}  # authorities may have several certificates of one name
    strange = [one for one in rest if one.subject not in names]
    if strange:
        raise _no_chain(
            f"“{_shown(strange[0].subject)}” did not issue this certificate. Give the certificate, "
            f"and those that lead from its issuer, “{_shown(ordered[-1].issuer)}”, to the root."
        )
    return ordered


def _public(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _demand_valid(leaf: x509.Certificate, now: datetime) -> None:
    if leaf.not_valid_after_utc <= now:
        raise _no_chain(f"The certificate expired on {leaf.not_valid_after_utc:%d %B %Y}. Renew it first.")
    if leaf.not_valid_before_utc > now + CLOCKS_DIFFER:
        raise _no_chain(
            f"The certificate is not valid before {leaf.not_valid_before_utc:%d %B %Y}. Add it then."
        )


# --- what it says ---------------------------------------------------------------------------------------------------


def _domains(leaf: x509.Certificate) -> tuple[str, ...]:
    """The host names that it is for; the common name counts when it says no others, as command lines make them."""
    try:
        extension = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
        assert isinstance(extension.value, x509.SubjectAlternativeName)
        names: list[str] = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = [str(one.value) for one in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except ValueError as error:
        raise _no_chain("The certificate's alternative names can't be read. Have it issued anew.") from error
    found = tuple(dict.fromkeys(name.lower() for name in names if HOSTNAME.fullmatch(name.lower())))
    if not found:
        raise _no_chain("The certificate is for no host name. Have one issued for the domain itself.")
    return found


@lru_cache(maxsize=1)
def _roots() -> Store | None:
    """The authorities that this machine trusts; None when it has none."""
    file = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
    if not file.exists():
        return None
    found = []
    with warnings.catch_warnings():  # some old roots have serial numbers that are not allowed any more
        warnings.simplefilter("ignore")
        for block in _PEM.finditer(file.read_text(errors="replace")):
            with suppress(ValueError):
                found.append(x509.load_pem_x509_certificate(block[0].encode()))
    return Store(found) if found else None


def _is_trusted(ordered: Sequence[x509.Certificate]) -> bool:
    roots = _roots()
    if roots is None:
        return False
    name = _domains(ordered[0])[0].replace("*.", "any.", 1)
    verifier = PolicyBuilder().store(roots).build_server_verifier(x509.DNSName(name))
    try:
        verifier.verify(ordered[0], list(ordered[1:]))
    except (VerificationError, ValueError):
        return False
    return True


def _shown(name: x509.Name) -> str:
    """A name as OpenSSL's one-line form has it, without what a terminal might obey."""
    text = "".join(f"/{part.rfc4514_attribute_name}={part.value!s}" for part in name)
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:500]


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _no_key(text: str) -> Refusal:
    return Refusal(text, fields={"private_key": text})


def _no_chain(text: str) -> Refusal:
    return Refusal(text, fields={"certificate_chain": text})
