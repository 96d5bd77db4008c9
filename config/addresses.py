"""Settings that are addresses with a password in them: what is wrong with one is said without quoting any of it."""

from typing import Any

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


def mail(url: str) -> dict[str, Any]:
    """The same of the server that mail goes out by."""
    try:
        return dict(Env.email_url_config(url))
    except Exception:
        raise ImproperlyConfigured(
            f"EMAIL_URL can't be read. Write smtp+tls://name:password@host:port, with {ENCODED}."
        ) from None
