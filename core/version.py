"""Which Slipway this is."""

import tomllib
from functools import cache

from django.conf import settings


@cache
def slipway() -> str:
    """The version, like `0.1.0`."""
    text = (settings.BASE_DIR / "pyproject.toml").read_text()
    return str(tomllib.loads(text)["project"]["version"])
