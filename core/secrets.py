"""Values that must be unreadable at rest, and tokens that are only ever compared.

A sealed value is `<key id>.<base64(nonce + ciphertext)>`, AES-256-GCM, with what it belongs to as associated
data: moved to another row it does not open (promise I-38). Keys are named, the first of the list seals.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class Tampered(Exception):
    """A sealed value that does not belong where it was found, was altered, or whose key is gone."""


def new_key(name: str) -> str:
    """A fresh key in the form that SLIPWAY_KEYS lists, `name:base64`."""
    return f"{name}:{base64.b64encode(os.urandom(32)).decode()}"


def _keys() -> dict[str, AESGCM]:
    keys = {}
    for item in settings.SLIPWAY_KEYS:
        name, _, text = item.partition(":")
        try:
            keys[name] = AESGCM(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as error:
            raise ImproperlyConfigured(
                f"SLIPWAY_KEYS: the key “{name}” is not 32 bytes in base64."
            ) from error
    if not keys:
        raise ImproperlyConfigured(
            "SLIPWAY_KEYS is empty: no config var can be stored or read without a key."
        )
    return keys


def current_key() -> str:
    """The name of the key that new values are sealed with."""
    return next(iter(_keys()))


def seal(value: bytes, *, to: str) -> str:
    """Encrypt `value` so that it opens only with the same `to`."""
    name, key = next(iter(_keys().items()))
    nonce = os.urandom(12)
    return f"{name}.{base64.b64encode(nonce + key.encrypt(nonce, value, to.encode())).decode()}"


def unseal(sealed: str, *, to: str) -> bytes:
    """Decrypt what `seal(…, to=to)` made; `Tampered` when it is not that."""
    name, _, text = sealed.partition(".")
    key = _keys().get(name)
    if key is None:
        raise Tampered(f"The key “{name}” is not among SLIPWAY_KEYS.")
    try:
        raw = base64.b64decode(text, validate=True)
        return key.decrypt(raw[:12], raw[12:], to.encode())
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise Tampered(f"A sealed value does not belong to {to}, or was altered.") from error


def new_token(prefix: str) -> str:
    """A secret for a person or program to present, 256 bits, recognisable by its prefix."""
    return f"{prefix}-{secrets.token_urlsafe(32)}"


def digest(token: str) -> str:
    """How a token is stored: it has 256 bits of its own, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
