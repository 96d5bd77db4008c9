"""The instance's own certificate authority, for https on loopback."""

from pathlib import Path

from django.conf import settings

from engine.tls import LocalCA


def local_ca() -> LocalCA:
    """The authority of this data folder, made when there is none yet."""
    return LocalCA(settings.DATA / "tls", permitted=[settings.APPS_HOST, settings.HOST])


def instance_certificate() -> Path | None:
    """What vouches for the instance's own https, None where a public authority does."""
    return None if settings.URL.startswith("https://") else local_ca().certificate
