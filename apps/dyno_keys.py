"""Keys that open a dyno by SSH: what the CLI's ps:exec brings along, and forgets when it ends.

The private half never leaves the client. A key opens one dyno, by its name, to the person whose token brought it, and not
for longer than they might open it with that token: that is looked at whenever it is used.
"""

import base64
import binascii
import json
import re
from dataclasses import asdict, dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from django.conf import settings
from django.core.cache import cache

from accounts.models import User
from apps.models import App, Dyno
from core import secrets
from core.errors import Refusal

KEPT_SECONDS = 3600  # since it was last used
LONGEST_KEY = 20_000
RSA_BITS = 2048
USER = re.compile(r"dyno-[\w-]{20,80}")


@dataclass(frozen=True)
class DynoKey:
    """What a key opens: the dyno `dyno` of an app (its id), to a person with a token (their ids)."""

    key: str  # as SSH writes it, in Base64
    app: str
    dyno: str
    by: str
    token: str

    @property
    def blob(self) -> bytes:
        """The key as SSH writes it."""
        return base64.b64decode(self.key)


def register(app: App, dyno: Dyno, key: str, *, by: User) -> str:
    """Let the public `key` (in the form of OpenSSH) open `dyno` to `by`, who came with a token; returns the user name to
    open it under. `Refusal` for what is no key. Whether `by` may is the caller's to ask."""
    assert by.token is not None
    user = secrets.new_token("dyno")
    found = DynoKey(_checked(key), str(app.pk), dyno.name, str(by.pk), str(by.token.pk))
    cache.set(_place(user), asdict(found), KEPT_SECONDS)
    return user


def find(user: str) -> DynoKey | None:
    """What the key opens that came with this user name, if it is still known; it is kept for another while."""
    if not USER.fullmatch(user):
        return None
    found = cache.get(_place(user))
    if found is None:
        return None
    cache.touch(_place(user), KEPT_SECONDS)
    return DynoKey(**found)


def is_news(user: str, about: str) -> bool:
    """Whether nothing `about` this was noted of the key yet; from then on it is."""
    return bool(cache.add(f"{_place(user)}:{about}", True, KEPT_SECONDS))


@dataclass(frozen=True)
class Listening:
    """Where dynos are opened by SSH: `host` is what clients are told; without one, `why` says why nowhere."""

    host: str
    why: str


def listening() -> Listening:
    """What the SSH server says of itself."""
    if not settings.SSH_LISTEN:
        return Listening("", "SLIPWAY_SSH_LISTEN is not set")
    try:
        said = json.loads((settings.DATA / "run" / "ssh.json").read_text())
        return Listening(str(said["host"]), str(said["why"]))
    except (OSError, ValueError, KeyError):
        return Listening("", "no conductor runs")


def _place(user: str) -> str:
    return f"dyno-key:{secrets.digest(user)}"


def _checked(key: str) -> str:
    """The key alone, in Base64."""
    parts = key.split()
    try:
        if len(key) > LONGEST_KEY or len(parts) < 2:
            raise ValueError
        found = load_ssh_public_key(" ".join(parts[:2]).encode())
        weak = isinstance(found, DSAPublicKey) or (
            isinstance(found, RSAPublicKey) and not RSA_BITS <= found.key_size <= 16384
        )
        base64.b64decode(parts[1], validate=True)
    except (ValueError, UnsupportedAlgorithm, UnicodeEncodeError, binascii.Error):
        raise Refusal(
            "client_key has to be a public key as OpenSSH writes it: ssh-ed25519 AAAA… or ssh-rsa AAAA…"
        ) from None
    if weak:
        raise Refusal(f"This kind of key is too weak: take Ed25519, or RSA of {RSA_BITS} bits or more.")
    return parts[1]
