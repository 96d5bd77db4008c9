"""Config vars as partners name them, and as attachments do."""

from typing import Any

from addons.models import AddonService, key_of
from core.errors import Refusal
from core.text import is_text

MOST = 32 * 1024  # characters of one add-on's config


def names_of(service: AddonService) -> dict[str, str]:
    """`{"ACME_URL": "URL"}`: what the manifest names, with the suffix that it stands for."""
    return {key_of(service.first_name, suffix): suffix for suffix in service.config}


def by_suffix(service: AddonService, told: Any) -> dict[str, str]:
    """What a partner tells, by suffix. `Refusal` for anything but strings under names of its manifest; no value is
    in the message."""
    known = names_of(service)
    if not isinstance(told, dict):
        raise Refusal("The config is no object of names and values.")
    for name, value in told.items():
        if name not in known:
            raise Refusal(f"The config var {str(name)[:80]} is not in its manifest.")
        if not isinstance(value, str) or not is_text(value):
            raise Refusal(f"The config var {name} has a value that is no text.")
    if sum(len(value) for value in told.values()) > MOST:
        raise Refusal(f"The config is over {MOST // 1024} kB.")
    return {known[name]: value for name, value in told.items()}
