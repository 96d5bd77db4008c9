"""A certificate authority of this instance's own, for https on localhost and on names that can't be public.

The authority is made once and is limited by name constraints: someone who trusts it can't be fooled about any site
of the internet by whoever steals its key. Certificates for the names themselves are made when first asked for, live
in memory, and are replaced before they end.
"""

import fcntl
import ipaddress
import os
import re
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine import certificates

# Names that are reserved for private use, tests and documents (RFC 2606, 6761, 6762, 8375): none of them is public.
PRIVATE = ("localhost", "test", "example", "invalid", "internal", "local", "home.arpa", "lan")
DOCUMENTS = ("example.com", "example.net", "example.org")
LOOPBACK = ("127.0.0.0/8", "::1/128")
NAME = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
)
OURS = ("localhost", "127.0.0.1", "::1")

AUTHORITY_DAYS = 3650
LEAF_DAYS = 90
RENEW_DAYS = 30  # before its end, a certificate is replaced
MAX_LEAFS = 500  # contexts in memory

Key = ec.EllipticCurvePrivateKey


class LocalCA:
    """The authority under `root`, made there if it is not: `ca.pem` to give to clients, `ca.key` for nobody.

    `permitted` are further domains that it may speak for, such as the one that apps live on."""

    def __init__(self, root: Path, *, permitted: Collection[str] = ()) -> None:
        self.root = root
        self.certificate = root / "ca.pem"
        self._permitted = tuple(dict.fromkeys((*PRIVATE, *DOCUMENTS, *permitted)))
        self._leafs: OrderedDict[str, tuple[ssl.SSLContext, datetime]] = OrderedDict()
        self._key, self._authority = self._load_or_make()

    def context(
        self,
        known: Callable[[str], bool] = lambda name: True,
        given: Callable[[str], ssl.SSLContext | None] = lambda name: None,
    ) -> ssl.SSLContext:
        """A server's context that shows each client what is `given` for the name it asks for, else a certificate of
        this authority for it, if that is `known`, and one for this machine otherwise."""

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            name = (name or "localhost").lower().rstrip(".")
            own = name if NAME.fullmatch(name) and known(name) else "localhost"
            connection.context = given(name) or self._leaf(own)

        key, certificate, _ = self._issue("localhost")
        context = _context(key, certificate)
        context.sni_callback = choose
        return context

    # --- certificates for names -------------------------------------------------------------------------------------

    def pem(self, names: Collection[str]) -> str:
        """A new certificate of this authority for `names`, which may begin with `*.`, and its key, as one file."""
        key, certificate, _ = self._issue(*names)
        return certificate.public_bytes(serialization.Encoding.PEM).decode() + _key_pem(key).decode()

    def _leaf(self, name: str) -> ssl.SSLContext:
        if name in OURS:
            name = "localhost"
        found = self._leafs.get(name)
        if found and found[1] - datetime.now(UTC) > timedelta(days=RENEW_DAYS):
            self._leafs.move_to_end(name)
            return found[0]
        key, certificate, end = self._issue(name)
        context = _context(key, certificate)
        self._leafs[name] = context, end
        while len(self._leafs) > MAX_LEAFS:
            self._leafs.popitem(last=False)
        return context

    def _issue(self, *wanted: str) -> tuple[Key, x509.Certificate, datetime]:
        key = ec.generate_private_key(ec.SECP256R1())
        expanded = [each for name in wanted for each in (OURS if name == "localhost" else (name,))]
        names = [_general_name(each) for each in dict.fromkeys(expanded)]
        end = datetime.now(UTC) + timedelta(days=LEAF_DAYS)
        certificate = (
            _builder(x509.Name([]), self._authority.subject, key, end)
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return key, certificate, end

    # --- the authority ----------------------------------------------------------------------------------------------

    def _load_or_make(self) -> tuple[Key, x509.Certificate]:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.certificate.exists():
                self._make()
            key = serialization.load_pem_private_key((self.root / "ca.key").read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise ValueError(
                f"{self.root / 'ca.key'} is not the key of {self.certificate}; remove both to start anew."
            )
        return key, certificate

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Slipway on {os.uname().nodename}"[:64])])
        end = datetime.now(UTC) + timedelta(days=AUTHORITY_DAYS)
        subtrees = [x509.DNSName(name) for name in self._permitted]
        networks = [x509.IPAddress(ipaddress.ip_network(network)) for network in LOOPBACK]
        certificate = (
            _builder(name, name, key, end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .add_extension(x509.NameConstraints([*subtrees, *networks], None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        # The key first: a certificate that is there means that all is there.
        write_whole(self.root / "ca.key", _key_pem(key), 0o600)
        write_whole(self.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def self_signed(name: str, *, days: int) -> str:
    """A new key and a certificate for it that nobody vouches for, in PEM: for clients that want TLS and check nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + timedelta(days=days)
    made = _builder(subject, subject, key, end).sign(key, hashes.SHA256())
    return (_key_pem(key) + made.public_bytes(serialization.Encoding.PEM)).decode()


def _context(key: Key, certificate: x509.Certificate) -> ssl.SSLContext:
    return certificates.context(
        certificate.public_bytes(serialization.Encoding.PEM).decode(), _key_pem(key).decode()
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))  # clocks differ
        .not_valid_after(end)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_whole(path: Path, data: bytes, mode: int) -> None:
    """Write a file so that it is there as a whole or not at all, never readable by more than `mode` says."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # 0600 from its start
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).rename(path)
