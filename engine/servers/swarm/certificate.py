"""A certificate that nobody vouches for: clients that insist on TLS, as those made for Heroku do, check none."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.servers.each import write

YEARS = 20  # longer than anything that it serves
END = "-----END PRIVATE KEY-----\n"


def certificate(record: Path) -> tuple[str, str]:
    """Key and certificate in PEM, as kept in `record`, for nobody else to read; made the first time."""
    if not record.exists():
        write(record, _make())
    key, end, chain = record.read_text().partition(END)
    return key + end, chain


def _make() -> str:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Slipway databases")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (private + signed.public_bytes(pem)).decode()
