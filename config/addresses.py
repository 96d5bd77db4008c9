"""Settings that are addresses with a password in them: what is wrong with one is said without quoting any of it."""

from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environ import Env

KNOWN = ("django.db.backends.sqlite3", "django.db.backends.postgresql")
ENCODED = "what is special in name and password percent-encoded: / as %2F, @ as %40, # as %23"


def database(url: str) -> dict[str, Any]:
    """What Django is told of the database at `url`. `ImproperlyConfigured` when that can't be read."""
    try:
        found = Env.db_url_config(url)
    except Exception:  # whatever it says quotes a part of the address
        found = {}
    if found.get("ENGINE") not in KNOWN:
        raise ImproperlyConfigured(
            "DATABASE_URL can't be read. Write postgres://name:password@host:port/database, with "
            f"{ENCODED}; or sqlite:///path."
        ) from None
    return dict(found)


def bus(url: str) -> str:
    """The address of the Redis that carries nudges, if there is one. `ImproperlyConfigured` when it can't be read."""
    try:
        parts = urlsplit(url)
        known = not url or parts.scheme in ("redis", "rediss", "unix")
        _ = parts.port  # reads it
    except ValueError:
        known = False
    if not known:
        raise ImproperlyConfigured(
            f"REDIS_URL can't be read. Write redis://:password@host:port/number, with {ENCODED}."
        ) from None
    return url


def mail(url: str) -> dict[str, Any]:
    """The same of the server that mail goes out by."""
    try:
        return dict(Env.email_url_config(url))
    except Exception:
        raise ImproperlyConfigured(
            f"EMAIL_URL can't be read. Write smtp+tls://name:password@host:port, with {ENCODED}."
        ) from None
