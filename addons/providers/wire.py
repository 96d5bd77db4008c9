"""Asking a partner: one request, one answer that makes sense, or an `EngineError` that says what was wrong with it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from addons.partner_models import Partner
from core.errors import EngineError, Refusal
from engine.outbound import Answer, Outbound

SECONDS = 25.0  # that a partner may take to answer
MOST_WORDS = 300
MEDIA = "application/vnd.heroku-addons+json; version=3"


@dataclass(frozen=True)
class Reply:
    """What a partner answered; `body` is empty when it answered nothing."""

    status: int
    body: Mapping[str, Any] = field(repr=False)

    @property
    def message(self) -> str:
        """What it has for people."""
        text = self.body.get("message")
        return tidy(text) if isinstance(text, str) else ""


@dataclass(frozen=True)
class Wire:
    """How to reach a partner. `seconds` is the time that one answer may take."""

    name: str  # for messages
    user: str
    password: str = field(repr=False)
    base_url: str = ""
    seconds: float = SECONDS

    @classmethod
    def to(cls, partner: Partner) -> "Wire":
        """The wire to a partner that is loaded. Needs its service."""
        service = partner.service
        return cls(service.human_name, service.name, partner.password, partner.base_url, SECONDS)

    def ask(self, method: str, path: str = "", body: Mapping[str, Any] | None = None) -> Reply:
        """Ask, and take the answer apart. `EngineError` when it is none, or says no; what may pass is not permanent."""
        reply = self.raw(method, path, body)
        if 200 <= reply.status < 300:
            return reply
        raise EngineError(self.why(reply), permanent=reply.status < 500 and reply.status not in (408, 429))

    def raw(self, method: str, path: str = "", body: Mapping[str, Any] | None = None) -> Reply:
        """The same, whatever the status is."""
        known = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Accept": MEDIA, "Authorization": f"Basic {known}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        try:
            answer = Outbound(settings.OUTBOUND_ALLOW).request(
                method, self.base_url + path, headers=headers, body=data, seconds=self.seconds
            )
        except Refusal as refusal:
            raise EngineError(f"{self.name} can't be asked: {refusal.message}", permanent=True) from refusal
        return self._read(answer)

    def _read(self, answer: Answer) -> Reply:
        """Errors may say what they like; an answer that is taken for a yes must be an object."""
        if not answer.body.strip() or answer.status == 204:
            return Reply(answer.status, {})
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return Reply(answer.status, found)
        if 200 <= answer.status < 300:
            raise EngineError(
                f"{self.name} answers what can't be read: it is no JSON object.", permanent=True
            )
        return Reply(answer.status, {})

    def why(self, reply: Reply) -> str:
        """What a reply says that is no yes, without the password."""
        if reply.status in (401, 403):
            return f"{self.name} does not accept the password of its manifest."
        said = reply.message.replace(self.password, "…")
        return f"{self.name} says: {said}" if said else f"{self.name} answers with status {reply.status}."


def tidy(text: str, *, without: Mapping[str, str] | None = None) -> str:
    """What a partner says, fit to be shown: one line, not too long, and `without` these values in it."""
    for value in (without or {}).values():
        text = text.replace(value, "…") if len(value) >= 6 else text
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= MOST_WORDS else f"{line[:MOST_WORDS]}…"
