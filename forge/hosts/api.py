"""What the API of any host is asked to do, and how it is asked."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from django.conf import settings

from core.errors import EngineError, Refusal
from core.text import storable
from engine.outbound import Answer, Outbound
from forge.models import PullRequest
from forge.told import Body, PullTold, Unreadable

SECONDS = 15
MOST_BYTES = 1024**2
MARK = "<!-- slipway -->"  # by which our comment is found again


class Denied(Refusal):
    """The host understood, and turned us down; the text says what to do."""


class SameState(Denied):
    """The host has it that way already."""


@dataclass(frozen=True)
class Found:
    """What a host says of a repository."""

    full_name: str
    default_branch: str
    private: bool


class Api(ABC):
    """The API of one kind of host, for one repository and token."""

    events: ClassVar[list[str]] = []  # that a hook is made for

    def __init__(self, url: str, full_name: str, token: str) -> None:
        self._url, self.full_name, self._token = url.rstrip("/"), full_name, token

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.full_name}>"

    @abstractmethod
    def find(self) -> Found:
        """What the host says of the repository; `Denied` when the token may not see it."""

    @abstractmethod
    def make_hook(self, url: str, secret: str) -> str:
        """Have the host send hooks to `url`, and return how it knows them. One that leads there already is replaced."""

    @abstractmethod
    def remove_hook(self, ref: str) -> None:
        """Have it send them no more."""

    @abstractmethod
    def set_status(self, commit: str, context: str, state: str, description: str, url: str) -> None:
        """Have it say of a commit how `context` stands."""

    @abstractmethod
    def comment(self, pull: PullRequest, text: str) -> str:
        """Keep one comment on a pull request that says `text`; returns how the host knows it."""

    @abstractmethod
    def open_pulls(self) -> list[PullTold]:
        """The pull requests that are open, the newest first, 100 at most."""

    @abstractmethod
    def pull(self, number: int) -> PullTold | None:
        """How it stands with one; None when there is none."""

    @abstractmethod
    def _headers(self) -> dict[str, str]:
        """What shows the token."""

    # --- for the hosts ------------------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """What the host answers, read as JSON."""
        return _json(self._send(method, path, body))

    def _pulls(self, path: str, read: Callable[[Body], PullTold]) -> list[PullTold]:
        rows = self._ask("GET", path)
        rows = rows.get("values", []) if isinstance(rows, dict) else rows
        return [told for row in rows if isinstance(row, dict) and (told := _readable(row, read))]

    def _pull(self, path: str, read: Callable[[Body], PullTold]) -> PullTold | None:
        answer = self._send("GET", path, missing=True)
        return _readable(_json(answer), read) if answer.status < 300 else None

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, missing: bool = False
    ) -> Answer:
        """Send one request. With `missing`, what is not there is no trouble."""
        headers = {"Accept": "application/json", "Content-Type": "application/json", **self._headers()}
        data = json.dumps(body).encode() if body is not None else None
        answer = Outbound(settings.OUTBOUND_ALLOW).request(
            method, self._url + path, headers=headers, body=data, seconds=SECONDS, max_bytes=MOST_BYTES
        )
        if answer.status in (404, 410) and missing:
            return answer
        _demand_content(answer, self.full_name)
        return answer

    def _keep_comment(self, pull: PullRequest, text: str, path: str, one: str, key: str = "body") -> str:
        """Change our comment, found by its number or by its mark, or make it: `path` has all, `one` is that of one."""
        said = f"{text}\n\n{MARK}"
        known = pull.comment_ref or self._our_comment(path, key)
        if known and self._changed(f"{one}/{known}", self._said(said, key)):
            return known
        return str(self._ask("POST", path, self._said(said, key)).get("id", ""))

    _changing = "PATCH"

    def _changed(self, path: str, said: dict[str, Any]) -> bool:
        """Whether a comment could be changed: it may be gone, or be somebody else's who has copied our mark."""
        try:
            return self._send(self._changing, path, said, missing=True).status < 300
        except Denied:
            return False

    def _said(self, text: str, key: str) -> dict[str, Any]:
        return {key: text}

    def _our_comment(self, path: str, key: str) -> str:
        rows = self._ask("GET", f"{path}?per_page=100&limit=100&pagelen=100")
        rows = rows.get("values", []) if isinstance(rows, dict) else rows
        ours = (row for row in rows if isinstance(row, dict) and MARK in str(self._text_of(row, key)))
        return next((str(row.get("id", "")) for row in ours), "")

    def _text_of(self, row: dict[str, Any], key: str) -> Any:
        return row.get(key, "")

    def _drop_hooks(self, path: str, rows: Any, url: str, where: Callable[[dict[str, Any]], Any]) -> None:
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, dict) and where(row) == url:
                self._send(
                    "DELETE", f"{path}/{quote(str(row.get('id', row.get('uuid'))), safe='')}", missing=True
                )


def _readable(row: Any, read: Callable[[Body], PullTold]) -> PullTold | None:
    try:
        return read(Body(row))
    except Unreadable:
        return None


def _json(answer: Answer) -> Any:
    try:
        found = json.loads(answer.body or b"{}")
    except (ValueError, RecursionError):
        raise EngineError("The host's API answers with something that is no JSON.") from None
    return storable(found) if isinstance(found, (dict, list)) else {}


def _demand_content(answer: Answer, name: str) -> None:
    """Nothing when the host did what it was asked for, else why not: `Denied` when asking again would not help."""
    if 200 <= answer.status < 300:
        return
    if answer.status == 400 and b"Cannot transition status" in answer.body:
        raise SameState("The host has it that way already.")
    if answer.status == 401:
        raise Denied(f"The host does not take the token of {name}: it is wrong or has expired.")
    if answer.status == 403 and answer.headers.get("x-ratelimit-remaining") == "0":
        raise EngineError("The host takes no more requests from this token for a while.")
    if answer.status == 403:
        raise Denied(f"The token may not do that in {name}. Give it more rights, or another token.")
    if answer.status in (404, 410):
        raise Denied(f"The host knows no {name}, or the token may not see it.")
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise EngineError(f"The host's API answers {answer.status}.")
    raise Denied(f"The host's API answers {answer.status}.")
