"""Certificates for tests: an authority with an intermediate one, and leaves of theirs."""

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def pem_of(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@dataclass
class Issued:
    """A certificate and its key, and who issued it."""

    certificate: x509.Certificate
    key: object
    issuer: "Issued | None" = None

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self):
        return pem_of(self.key)

    @property
    def chain(self):
        """Its own certificate, then those that lead to the root, without it."""
        return self.pem + (self.issuer.chain if self.issuer and self.issuer.issuer else "")


def issue(name, *names, issuer=None, ca=False, days=90, start=-1, key=None, alternative=True):
    """A certificate with the common name `name`, for that and `names`, from `start` days from now for `days`."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime.now(datetime.UTC) + start * DAY
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + days * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca and alternative:
        alternatives = [x509.DNSName(each) for each in (name, *names)]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Issued(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key, issuer)


ROOT = issue("Test root", ca=True)
MIDDLE = issue("Test intermediate", issuer=ROOT, ca=True)


def leaf(name="www.example.com", *names, **more):
    """One that the intermediate authority issued."""
    return issue(name, *names, issuer=more.pop("issuer", MIDDLE), **more)
