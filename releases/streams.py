"""Who may read which log stream, and addresses at which programs read one without any other credential.

`stream_for` is the one policy for pages, the API, websockets and the addresses made here (promise I-29).
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.urls import reverse

from accounts.models import ApiToken, User
from apps import access
from apps.models import App
from core.errors import NotFound, Refusal
from releases.models import OPEN, Build, Release

OUTPUT_SECONDS = 12 * 3600  # how long an address of build or release output is good
SESSION_SECONDS = 3600  # how long a log session may be resumed
_SALT = "slipway.streams"
_NOTHING = "Couldn't find that stream."
_kinds: dict[str, "tuple[Callable[[User, str, str], None], Callable[[str, str], bool]]"] = {}


class Writes(Protocol):
    """What has output of its own."""

    @property
    def log_stream(self) -> str: ...


def add_kind(
    kind: str, demand: Callable[[User, str, str], None], is_over: Callable[[str, str], bool]
) -> None:
    """Have streams of a kind that packages above know: `demand(user, kind, ref)` raises when `user` may not read one,
    `is_over(kind, ref)` says whether no line will follow."""
    _kinds[kind] = (demand, is_over)


def stream_for(user: User, stream: str) -> str:
    """`stream` itself if `user` may read it, `NotFound` or `Forbidden` otherwise. App logs need the right to
    operate, the output of builds and releases the right to view."""
    kind, _, ref = stream.partition("/")
    if not _is_uuid(ref):
        raise NotFound(_NOTHING, resource="stream")
    if kind == "app":
        access.app_for(user, ref, to=access.OPERATE)
        return stream
    if kind in _kinds:
        _kinds[kind][0](user, kind, ref)
        return stream
    row = _row(kind, ref)
    if row is None:
        raise NotFound(_NOTHING, resource="stream")
    access.app_for(user, str(row.app_id), to=access.VIEW)
    return stream


def may_read(user: User, stream: str) -> bool:
    """Whether `stream_for` lets `user` have `stream`."""
    try:
        stream_for(user, stream)
    except Refusal:
        return False
    return True


def is_over(stream: str) -> bool:
    """Whether what writes `stream`, a build say, has come to its end, so that no line will follow."""
    kind, _, ref = stream.partition("/")
    if kind == "app":
        return False
    if kind in _kinds:
        return _kinds[kind][1](kind, ref)
    row = _row(kind, ref)
    return row is None or row.status not in OPEN


@dataclass(frozen=True)
class Grant:
    """What an address lets its bearer read. `by` is who it was made for, and `token` the API token that they asked
    with, if any: it ends with the right of the one and with the other."""

    stream: str
    by: str
    token: str = ""
    lines: int = 100
    tail: bool = False
    source: str = ""
    dyno: str = ""
    nonce: str = ""

    def holds(self) -> bool:
        """Whether the one it was made for may still read the stream, and the token still stands."""
        if self.token and not ApiToken.objects.valid().filter(pk=self.token).exists():
            return False
        user = User.objects.filter(pk=self.by, is_active=True).first()
        return user is not None and may_read(user, self.stream)


def output_url(thing: Writes, *, by: User) -> str:
    """The address of the output of a build, release or test, as text until its end. It ends with `by`'s right to it."""
    kind, _, ref = thing.log_stream.partition("/")
    token = _sign(Grant(thing.log_stream, **_bearer(by)))
    return settings.URL + reverse("output-stream", args=[kind, ref, token])


def log_session_url(
    app: App,
    *,
    by: User,
    lines: int = 100,
    tail: bool = False,
    source: str | None = None,
    dyno: str | None = None,
) -> str:
    """The address of the last `lines` lines of `app`'s log, and with `tail` of those that follow; opened once only,
    apart from resuming. `source` is `app` or `heroku`, `dyno` a dyno's name or a process type."""
    grant = Grant(
        app.log_stream,
        **_bearer(by),
        lines=lines,
        tail=tail,
        source=source or "",
        dyno=dyno or "",
        nonce=uuid.uuid4().hex,
    )
    return settings.URL + reverse("log-session", args=[_sign(grant)])


def granted(token: str, *, seconds: int) -> Grant:
    """What `token` was made for, at most `seconds` ago; `NotFound` when it is not ours, too old, or revoked."""
    try:
        grant = Grant(**signing.loads(token, salt=_SALT, max_age=seconds))
    except (signing.BadSignature, TypeError) as error:
        raise NotFound(_NOTHING, resource="stream") from error
    if not grant.holds():
        raise NotFound(_NOTHING, resource="stream")
    return grant


def use_up(grant: Grant) -> None:
    """Open a log session; `NotFound` the second time. Each process remembers for itself."""
    if not cache.add(f"log-session:{grant.nonce}", True, timeout=SESSION_SECONDS):
        raise NotFound(_NOTHING, resource="stream")


def _bearer(by: User) -> dict[str, Any]:
    return {"by": str(by.pk), "token": str(by.token.pk) if by.token else ""}


def _sign(grant: Grant) -> str:
    return signing.dumps({key: value for key, value in vars(grant).items() if value != ""}, salt=_SALT)


def _row(kind: str, ref: str) -> Build | Release | None:
    if kind == "build":
        return Build.objects.filter(pk=ref).first()
    return Release.objects.filter(pk=ref).first() if kind == "release" else None


def _is_uuid(ref: str) -> bool:
    try:
        return str(uuid.UUID(ref)) == ref
    except ValueError:
        return False
