"""The instance's own certificate authority, for https on loopback."""

from pathlib import Path

from django.conf import settings

from conductor.fronts import local_ca


def instance_certificate() -> Path | None:
    """What vouches for the instance's own https, None where a public authority does."""
    return None if settings.URL.startswith("https://") else local_ca().certificate
