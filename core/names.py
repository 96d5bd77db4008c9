"""The one place that knows what a name may look like."""

import re
from uuid import UUID, uuid5

from core.errors import Refusal

APP = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
PIPELINE = re.compile(r"[a-z][a-z0-9-]{2,29}")
TEAM = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")
STAGE = re.compile(r"[a-z][a-z0-9-]{0,28}[a-z0-9]")
CONFIG_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
PROCESS_TYPE = re.compile(r"[-\w]{1,128}", re.ASCII)
HOSTNAME = re.compile(
    r"(?=.{4,253}\Z)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)

# Host names of the platform's own, and paths of the dashboard: an app of that name could not be reached.
RESERVED = frozenset(
    [
        "account",
        "admin",
        "api",
        "apps",
        "app",
        "auth",
        "dashboard",
        "git",
        "healthz",
        "localhost",
        "login",
        "mail",
        "new",
        "oauth",
        "pipelines",
        "registry",
        "router",
        "setup",
        "sign-in",
        "sign-out",
        "sources",
        "static",
        "status",
        "streams",
        "teams",
        "ws",
        "www",
    ]
)
RESERVED_CONFIG = frozenset({"PORT", "DYNO", "PS"})


def check_app(name: str) -> str:
    """Return `name` if an app may be called so; `Refusal` otherwise."""
    if not APP.fullmatch(name):
        raise Refusal(
            "An app's name has 3 to 30 characters: lower case letters, digits and dashes; "
            "it starts with a letter and does not end with a dash.",
            fields={"name": "Use lower case letters, digits and dashes, 3 to 30 in all."},
        )
    if name in RESERVED:
        raise taken(name)
    return name


def check_pipeline(name: str) -> str:
    """Return `name` if a pipeline may be called so; `Refusal` otherwise."""
    if not PIPELINE.fullmatch(name) or name == "new":
        raise Refusal(
            "A pipeline's name has 3 to 30 characters: lower case letters, digits and dashes; "
            "it starts with a letter.",
            fields={"name": "Use lower case letters, digits and dashes, 3 to 30 in all."},
        )
    return name


def check_team(name: str) -> str:
    """Return `name` if a team may be called so; `Refusal` otherwise."""
    if not TEAM.fullmatch(name) or name in RESERVED:
        raise Refusal(
            "A team's name has 3 to 40 characters: lower case letters, digits and dashes.",
            fields={"name": "Use lower case letters, digits and dashes, 3 to 40 in all."},
        )
    return name


def check_stage(name: str) -> str:
    """Return `name` if a stage may be called so; `Refusal` otherwise."""
    if not STAGE.fullmatch(name):
        raise Refusal(
            "A stage's name has 2 to 30 characters: lower case letters, digits and dashes; "
            "it starts with a letter.",
            fields={"name": "Use lower case letters, digits and dashes, 2 to 30 in all."},
        )
    return name


def check_config_key(key: str) -> str:
    """Return `key` if a config var may be called so; `Refusal` otherwise."""
    if not CONFIG_KEY.fullmatch(key) or key.startswith("__"):
        raise Refusal(
            f"“{key[:80]}” can't be a config var: use letters, digits and underscores, "
            "not starting with a digit or two underscores.",
            fields={"key": "Use letters, digits and underscores."},
        )
    if key in RESERVED_CONFIG or key.startswith("SLIPWAY_"):
        raise Refusal(f"{key} is set by the platform.", fields={"key": "This one is set by the platform."})
    return key


def check_hostname(hostname: str) -> str:
    """Return `hostname` in lower case if it can be a custom domain; `Refusal` otherwise."""
    hostname = hostname.strip().rstrip(".").lower()
    if not HOSTNAME.fullmatch(hostname):
        raise Refusal(
            f"“{hostname[:80]}” is not a host name. Use one like www.example.com.",
            fields={"hostname": "Use a host name like www.example.com."},
        )
    return hostname


def taken(name: str) -> Refusal:
    """The one answer for reserved, held and foreign names, so that it tells nothing more."""
    return Refusal(f"Name {name} is already taken.", fields={"name": "This name is already taken."})


NAMESPACE = UUID("8b1d0c5e-6c1f-4a57-9c55-6f3d53a0a5a1")


def fixed(kind: str, name: str) -> UUID:
    """The id of a thing that has no row (a stack, a size, a region): always the same."""
    return uuid5(NAMESPACE, f"{kind}/{name}")


def as_id(text: str) -> UUID | None:
    """The id that `text` is; None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def size(name: str) -> str:
    """A dyno size as Heroku writes it, `Standard-1X`; it is understood in any case."""
    first, dash, second = name.partition("-")
    return f"{first.capitalize()}{dash}{second.upper()}"
