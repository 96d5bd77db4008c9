import os
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from core import secrets

HINT = (
    "`bin/up` makes keys for a new instance; `manage.py newkeys` prints some. An old instance needs its own."
)


class ConfigConfig(AppConfig):
    name = "config"


@register(Tags.security)
def keys_are_there(**_: Any) -> list[CheckMessage]:
    """No key is built in, so nothing starts without them (promise I-34)."""
    problems: list[CheckMessage] = []
    # settings.SECRET_KEY itself raises when it is empty, before it can be explained.
    if len(os.environ.get("SLIPWAY_SECRET_KEY", "")) < 40:
        text = "SLIPWAY_SECRET_KEY is missing or shorter than 40 characters."
        problems.append(Error(text, hint=HINT, id="slipway.E1"))
    try:
        secrets.current_key()
    except ImproperlyConfigured as error:
        problems.append(Error(str(error), hint=HINT, id="slipway.E2"))
    return problems


@register(Tags.security)
def two_factor_is_demanded_of_somebody(**_: Any) -> list[CheckMessage]:
    """A slip of the pen must not leave the door open."""
    if settings.REQUIRE_TWO_FACTOR in ("", "operators", "everyone"):
        return []
    text = f"SLIPWAY_REQUIRE_TWO_FACTOR is “{settings.REQUIRE_TWO_FACTOR}”."
    return [Error(text, hint="Say `operators` or `everyone`, or leave it out.", id="slipway.E3")]
