"""The instance's own certificate authority, for https on loopback."""

from django.conf import settings

from engine.tls import LocalCA


def local_ca() -> LocalCA:
    """The authority of this data folder, made when there is none yet."""
    return LocalCA(settings.DATA / "tls", permitted=[settings.APPS_HOST, settings.HOST])
