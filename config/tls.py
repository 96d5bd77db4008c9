"""The instance's own certificate authority, for https on loopback."""

from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from conductor.fronts import local_ca
from config.cli import LOOPBACK


def instance_certificate() -> Path | None:
    """What vouches for the instance's own https, None where a public authority does: none does for a loopback name, so
    there it is ours, unless the operator brings a certificate."""
    place = urlsplit(settings.URL)
    local = (place.hostname or "") in LOOPBACK or (place.hostname or "").endswith(".localhost")
    if place.scheme == "https" and (settings.TLS_CERTIFICATE or not local):
        return None
    return local_ca().certificate
