"""What a webhook can be told of, and what a webhook is asked to be."""

from collections.abc import Sequence

from django.conf import settings

from core.errors import EngineError, Refusal
from engine.outbound import Outbound
from hooks.models import Webhook

OF_APPS = (
    "api:addon",
    "api:addon-attachment",
    "api:app",
    "api:build",
    "api:collaborator",
    "api:domain",
    "api:dyno",
    "api:formation",
    "api:pipeline-coupling",
    "api:release",
    "api:sni-endpoint",
    "dyno",
)
OF_PIPELINES = ("api:pipeline", "api:pipeline-coupling", "api:pipeline-promotion")


def check_include(include: Sequence[str], known: Sequence[str]) -> list[str]:
    """`include` without repetitions; `Refusal` with all that there is when something else is in it."""
    wanted = list(dict.fromkeys(include))
    unknown = [one for one in wanted if one not in known]
    if unknown or not wanted:
        problem = (
            f"There is nothing called {', '.join(unknown)[:200]} to include."
            if unknown
            else "Include something."
        )
        raise Refusal(f"{problem} A webhook can include: {', '.join(known)}.", fields={"include": problem})
    return wanted


def check_level(level: str) -> str:
    """`level`; `Refusal` when it is none."""
    if level not in Webhook.Level.values:
        text = "A level is notify (a few tries) or sync (in order, tried again for three days)."
        raise Refusal(text, fields={"level": text})
    return level


def check_url(url: str) -> str:
    """`url`; `Refusal` when it can't be a receiver. A host that is not known today may be tomorrow."""
    try:
        Outbound(settings.OUTBOUND_ALLOW).check(url)
    except Refusal as refusal:
        raise Refusal(refusal.message, fields={"url": refusal.message}) from None
    except EngineError:
        return url
    return url


def check_header(text: str, what: str) -> str:
    """`text`; `Refusal` when it can't be sent in a header."""
    if len(text) > 1000 or any(not " " <= char <= "~" for char in text):
        problem = f"The {what} can have 1000 characters, of ASCII and without line breaks."
        raise Refusal(problem, fields={what: problem})
    return text
