"""What add-ons and attachments are called when nobody says."""

import re
import secrets as random
from collections.abc import Collection, Iterable
from uuid import UUID

from addons.models import Addon, AddonService, key_of
from apps.models import App, ConfigVar
from core import names
from core.errors import Refusal

ADDON = re.compile(r"[a-zA-Z][A-Za-z0-9_-]{1,98}[A-Za-z0-9]")
ATTACHMENT = re.compile(r"[A-Z][A-Z0-9_]{0,98}[A-Z0-9]")
ADJECTIVES = [
    "angular",
    "clear",
    "curly",
    "fluffy",
    "graceful",
    "lively",
    "polished",
    "regular",
    "round",
    "shaped",
]
ADJECTIVES += [
    "silhouetted",
    "solid",
    "spherical",
    "sunny",
    "symmetrical",
    "transparent",
    "trapezoidal",
    "vertical",
]
COLOURS = [
    "AMBER",
    "AQUA",
    "BLACK",
    "BLUE",
    "BRONZE",
    "BROWN",
    "CHARCOAL",
    "COBALT",
    "COPPER",
    "CRIMSON",
    "CYAN",
]
COLOURS += [
    "GOLD",
    "GRAY",
    "GREEN",
    "IVORY",
    "JADE",
    "MAROON",
    "MAUVE",
    "NAVY",
    "OLIVE",
    "ONYX",
    "ORANGE",
    "PINK",
]
COLOURS += ["PUCE", "PURPLE", "RED", "ROSE", "SILVER", "TEAL", "VIOLET", "WHITE", "YELLOW"]


def free_addon_name(service: AddonService) -> str:
    """Like `postgresql-curly-12345`."""
    while True:
        name = f"{service.stem}-{random.choice(ADJECTIVES)}-{random.randbelow(90_000) + 10_000}"
        if not Addon.objects.filter(name=name).exists():
            return name


def check_addon_name(name: str) -> str:
    """Return `name` if an add-on may be called so; `Refusal` otherwise, and when it is taken."""
    if not ADDON.fullmatch(name):
        text = "An add-on's name has letters, digits, dashes and underscores, 3 to 100 in all, and starts with a letter."
        raise Refusal(text, fields={"name": text})
    if Addon.objects.filter(name=name).exists():
        raise names.taken(name)
    return name


def check_attachment_name(name: str) -> str:
    """Return `name` in capitals if an attachment may be called so; `Refusal` otherwise."""
    name = name.strip().upper()
    if not ATTACHMENT.fullmatch(name) or name.startswith("SLIPWAY"):
        text = "An attachment's name has letters, digits and underscores, and starts with a letter: DATABASE, say."
        raise Refusal(text, fields={"as": text})
    return name


def free_attachment_name(app: App, service: AddonService) -> str:
    """The service's first name, `DATABASE`, or one with a colour when the app uses that name or its vars already."""
    taken = set(app.attachments.values_list("name", flat=True))
    keys = set(ConfigVar.objects.filter(app=app, layer="").values_list("key", flat=True))
    if _is_free(service.first_name, service, taken, keys):
        return service.first_name
    names_ = [f"{service.further_name}_{colour}" for colour in COLOURS]
    free = [name for name in names_ if _is_free(name, service, taken, keys)]
    return random.choice(free) if free else f"{service.further_name}_{random.randbelow(90_000) + 10_000}"


def _is_free(name: str, service: AddonService, taken: Collection[str], keys: Collection[str]) -> bool:
    return name not in taken and not any(key_of(name, suffix) in keys for suffix in service.config)


def names_of(ids: Iterable[UUID]) -> dict[UUID, str]:
    """What add-ons are called, by id; asks nothing when there are none."""
    wanted = set(ids)
    return dict(Addon.objects.filter(pk__in=wanted).values_list("pk", "name")) if wanted else {}
