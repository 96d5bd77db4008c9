"""Getting certificates from an authority that speaks ACME (RFC 8555), one step at a time, so that whoever begins need not
be the one who ends. A host is proven by answering on http (HTTP-01).

The wire is `acme`'s, certbot's own library; nothing here waits.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import josepy
import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.errors import EngineError

AGENT = "slipway"
Result = TypeVar("Result")


class Denied(Exception):
    """The authority does not issue the certificate; its reason is for people."""


@dataclass(frozen=True)
class Started:
    """An order, and what must be answered at `/.well-known/acme-challenge/<token>` until it is over."""

    order: str  # its address
    challenge: str  # the address of its challenge; empty when the host is proven already
    token: str = ""
    answer: str = ""


def new_key() -> str:
    """A private key as PEM, for an account or a certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class Authority:
    """The authority whose directory is at `url`, for the account with `key` (PEM)."""

    def __init__(self, url: str, key: str) -> None:
        loaded = serialization.load_pem_private_key(key.encode(), password=None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = josepy.JWKEC(key=loaded)
        self._url = url
        self._client: client.ClientV2 | None = None

    def register(self, contact: str) -> None:
        """Make the account, or find the one that is there. `contact` is an e-mail address, or empty."""
        wanted = messages.NewRegistration.from_data(email=contact or None, terms_of_service_agreed=True)

        def make(authority: client.ClientV2) -> None:
            try:
                authority.net.account = authority.new_account(wanted)
            except errors.ConflictError as known:
                body = messages.Registration()
                authority.net.account = messages.RegistrationResource(uri=known.location, body=body)

        self._do(make)

    def start(self, host: str, key: str) -> Started:
        """Ask for a certificate for `host` with the private key `key` (PEM). The account must be registered."""

        def order(authority: client.ClientV2) -> Started:
            made = authority.new_order(_request(host, key))
            for one in made.authorizations:
                if one.body.status == messages.STATUS_VALID:
                    continue
                for each in one.body.challenges:
                    if isinstance(each.chall, challenges.HTTP01):
                        token = each.chall.encode("token")
                        return Started(made.uri, each.uri, token, each.chall.validation(self._key))
                raise Denied("The authority offers no proof by HTTP for this name.")
            return Started(made.uri, "")

        return self._do(order)

    def answer(self, started: Started) -> None:
        """Tell the authority that the proof is in its place."""
        self._do(
            lambda authority: authority.net.post(
                started.challenge, challenges.HTTP01Response(), **_nonce(authority)
            )
        )

    def look(self, order: str) -> str:
        """How an order stands: pending, ready, processing, valid. `Denied` when it is lost."""
        found = self._get(order)
        if found["status"] == "invalid":
            raise Denied(self._why(found))
        return str(found["status"])

    def finish(self, order: str, host: str, key: str) -> None:
        """Have a ready order's certificate made."""
        found = self._get(order)
        csr = messages.CertificateRequest(csr=x509.load_pem_x509_csr(_request(host, key)))
        self._do(lambda authority: authority.net.post(found["finalize"], csr, **_nonce(authority)))

    def certificate(self, order: str) -> str:
        """The chain of a valid order, PEM."""
        address = self._get(order)["certificate"]
        answer = self._do(lambda authority: authority.net.post(address, None, **_nonce(authority)))
        return str(answer.text)

    def _why(self, order: dict[str, Any]) -> str:
        for address in order.get("authorizations", []):
            for each in self._get(address).get("challenges", []):
                if detail := each.get("error", {}).get("detail"):
                    return str(detail)[:300]
        return str(order.get("error", {}).get("detail") or "The authority did not say why.")[:300]

    def _get(self, address: str) -> dict[str, Any]:
        answer = self._do(lambda authority: authority.net.post(address, None, **_nonce(authority)))
        found: dict[str, Any] = json.loads(answer.text)
        return found

    def _do(self, call: Callable[[client.ClientV2], Result]) -> Result:
        """Do something there; `Denied` when it says no for good, `EngineError` when it may be tried again."""
        try:
            if self._client is None:
                self._client = self._connect()
            return call(self._client)
        except messages.Error as error:
            text = str(error.detail or error.description or error.typ)[:300]
            if error.code in ("rateLimited", "serverInternal", "badNonce"):
                raise EngineError(f"The authority says: {text}") from error
            raise Denied(text) from error
        except (errors.Error, requests.RequestException, OSError) as error:
            raise EngineError(
                f"The certificate authority can't be reached: {type(error).__name__}."
            ) from error

    def _connect(self) -> client.ClientV2:
        net = client.ClientNetwork(self._key, alg=josepy.ES256, user_agent=AGENT, timeout=20)
        return client.ClientV2(client.ClientV2.get_directory(self._url, net), net)


def _nonce(authority: client.ClientV2) -> dict[str, str]:
    return {"new_nonce_url": authority.directory["newNonce"]}


def _request(host: str, key: str) -> bytes:
    return crypto_util.make_csr(key.encode(), domains=[host])
