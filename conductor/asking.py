"""What a gate asks of others by HTTP: an address whether it answers as it should, a webhook whether a release may pass."""

import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from apps.models import App
from conductor.deliveries import signature
from core.errors import EngineError
from engine.outbound import Answer, Outbound
from flow import passages
from flow.models import Gate, Passage, Probe
from hooks import payloads
from pipelines import changes
from pipelines.models import Coupling

SECONDS = 15.0  # for one request
MAX_BYTES = 1024 * 1024  # of an answer
PASSING = frozenset({429, 502, 503, 504})  # what says “not now” rather than “no”
LATER_SECONDS, LONGEST_SECONDS = 60.0, 3600.0  # until a webhook is asked again that wants to be
MAX_WORDS = 400
_SAFE = "/?[]@!$&'()*+,;=:%~"  # of a path, as somebody wrote it


@dataclass(frozen=True)
class Outcome:
    """What came out, for people and in figures."""

    holds: bool
    words: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Later:
    """It is to be asked again after so many seconds."""

    seconds: float
    words: str


def question(probe: Probe) -> Callable[[], Outcome | Later]:
    """What is asked for `probe`, made ready: the call itself needs no database. It raises `EngineError` when nobody
    answers yet, `Refusal` for what may not be asked."""
    gate, passage = probe.gate, probe.passage
    if gate.kind == Gate.Kind.WEBHOOK:
        url, secret, body = gate.settings["url"], gate.secret, json.dumps(_story(probe)).encode()
        return lambda: _ask_webhook(url, secret, body)
    said, source = gate.settings, passage.source
    return lambda: _ask_address(said, source)


# --- an address -------------------------------------------------------------------------------------------------------------


def _ask_address(said: Mapping[str, Any], source: App) -> Outcome:
    url, began = said["url"], time.monotonic()
    if url.startswith("/"):
        where, answer = f"{source.name}{url}", _ask_app(source, url)
    else:
        where, answer = _host(url), _outbound().request("GET", url, seconds=SECONDS, max_bytes=MAX_BYTES)
    facts = {"status": answer.status, "seconds": round(time.monotonic() - began, 3)}
    if answer.status != said["status"]:
        text = f"{where} answers {answer.status}, not {said['status']}."
        if answer.status in PASSING:
            raise EngineError(text)
        return Outcome(False, text, facts)
    if said["contains"] and said["contains"] not in answer.body.decode(errors="replace"):
        return Outcome(False, f"{where} answers without “{said['contains'][:100]}”.", facts)
    return Outcome(True, f"{where} answers {answer.status}.", facts)


def _ask_app(app: App, path: str) -> Answer:
    """One request to an app, as visitors make it: to the router, by the app's own name."""
    router = _router_host()
    place = f"[{router}]" if ":" in router else router
    url = f"http://{place}:{settings.PORT}{quote(path, safe=_SAFE)}"
    headers = {"Host": f"{app.name}.{settings.APPS_HOST}"}
    try:
        return Outbound([router]).request("GET", url, headers=headers, seconds=SECONDS, max_bytes=MAX_BYTES)
    except EngineError as fault:
        raise EngineError(f"The router does not answer for {app.name}.") from fault


def _router_host() -> str:
    """An address that the router listens on: where it does on all, one of this machine."""
    try:
        bound = ipaddress.ip_address(settings.BIND)
    except ValueError:
        return str(settings.BIND)
    if not bound.is_unspecified:
        return str(bound)
    return "127.0.0.1" if bound.version == 4 else "::1"


# --- a webhook --------------------------------------------------------------------------------------------------------------


def _ask_webhook(url: str, secret: str, body: bytes) -> Outcome | Later:
    headers = {"Content-Type": "application/json", "Heroku-Webhook-Hmac-SHA256": signature(secret, body)}
    began = time.monotonic()
    answer = _outbound().request(
        "POST", url, headers=headers, body=body, seconds=SECONDS, max_bytes=MAX_BYTES
    )
    facts = {"status": answer.status, "seconds": round(time.monotonic() - began, 3)}
    host, told = _host(url), _told(answer)
    words = _clean(told.get("message"))
    if answer.status == 202:
        return Later(_pause(answer.headers.get("retry-after", "")), words or f"{host} has not decided yet")
    if answer.status == 204:
        return Outcome(True, f"{host} says yes.", facts)
    if answer.status in PASSING or answer.status >= 500:
        raise EngineError(f"{host} answers {answer.status}.")
    if 200 <= answer.status < 300 and isinstance(told.get("allow"), bool):
        usual = f"{host} says {'yes' if told['allow'] else 'no'}."
        return Outcome(told["allow"], words or usual, facts)
    return Outcome(False, f"{host} answers {answer.status}, and neither yes nor no.", facts)


def _told(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _clean(text: Any) -> str:
    """What the other side says, on one line and without what is not to be seen."""
    if not isinstance(text, str):
        return ""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * MAX_WORDS])
    return " ".join(shown.split())[:MAX_WORDS]


def _pause(retry_after: str) -> float:
    """The seconds that `Retry-After` asks for, as a number or a date, within bounds."""
    try:
        wanted = float(retry_after) if retry_after.isdecimal() else _seconds_until(retry_after)
    except (ValueError, OverflowError):
        wanted = LATER_SECONDS
    return min(max(wanted, 1.0), LONGEST_SECONDS)


def _seconds_until(date: str) -> float:
    return (parsedate_to_datetime(date) - timezone.now()).total_seconds()


def _story(probe: Probe) -> dict[str, Any]:
    """All that a webhook needs to decide: what wants to pass, where to, and what it would change there. The same at each
    try, but for what has changed since."""
    passage = probe.passage
    stage, slug = passage.line.stage, passage.slug
    return {
        "id": str(probe.pk),
        "created_at": payloads.time(probe.created_at),
        "pipeline": {"id": str(stage.pipeline_id), "name": stage.pipeline.name},
        "stage": {"id": str(stage.pk), "name": stage.name},
        "app": {"id": str(passage.source_id), "name": passage.source.name},
        "release": {"id": str(passage.release_id), "version": passage.release.version},
        "slug": {
            "id": str(slug.pk),
            "commit": slug.commit,
            "branch": slug.branch,
            "message": slug.message,
            "author": slug.author,
        },
        "changes": _changes(passage),
        "url": settings.URL + reverse("passage", args=[stage.pipeline.name, passage.pk]),
    }


def _changes(passage: Passage) -> dict[str, Any]:
    """What promoting it would change, by names and words; no value of a config var is in it."""
    source = Coupling.objects.filter(app=passage.source_id).select_related("app", "stage", "pipeline").first()
    targets = passages.targets_of(passage.line, source) if source else []
    if source is None or not targets:
        return {"targets": [], "config": [], "addons": [], "release_command": ""}
    plan = changes.plan(source, passage.release, targets)
    return {
        "targets": [
            {
                "app": {"id": str(one.app.pk), "name": one.app.name},
                "current_version": one.current.version if one.current else None,
                "same": one.same,
                "commits_ahead": one.ahead,
                "commits_behind": one.behind,
            }
            for one in plan.targets
        ],
        "config": [asdict(row) for row in plan.config],
        "addons": [asdict(row) for row in plan.addons],
        "release_command": plan.release_command,
    }


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _outbound() -> Outbound:
    return Outbound(settings.OUTBOUND_ALLOW)
