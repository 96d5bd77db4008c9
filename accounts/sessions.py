"""The browsers that someone is signed in with: which they are, and how they are signed out from afar."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from core import activity, live, space
from core.middleware import client_address

SEEN_SECONDS = (
    60  # between two notes that a session is in use: reading pages must not be writing all the time
)
UNKNOWN = "::"


@dataclass(frozen=True)
class Browser:
    """A session as its owner is shown it."""

    id: int
    device: str
    address: str
    since: datetime
    seen: datetime
    is_this: bool


def browsers_of(user: User, session_key: str | None) -> list[Browser]:
    """Where `user` is signed in, this browser first, then the most recent ones. Three queries, however many."""
    rows = _living(user)
    browsers = [
        Browser(
            id=row.pk,
            device=device(row.user_agent),
            address="" if row.ip == UNKNOWN else row.ip,
            since=row.created_at,
            seen=row.last_seen_at,
            is_this=row.session_key == session_key,
        )
        for row in rows
    ]
    return sorted(browsers, key=lambda one: (not one.is_this, -one.seen.timestamp()))


def note_use(request: HttpRequest) -> None:
    """Note that the session of `request` is in use, once a minute at most, and from where."""
    key = request.session.session_key
    if not key or not cache.add(f"seen:{key}", 1, timeout=SEEN_SECONDS):
        return
    now = {"ip": address_of(request), "user_agent": agent_of(request), "last_seen_at": timezone.now()}
    with space.forgone("use of a session"):
        if not UserSession.objects.filter(session_key=key, user=request.user).update(**now):
            UserSession.objects.update_or_create(session_key=key, defaults={"user": request.user, **now})


def forget_ended(user: User) -> None:
    """Drop the rows of sessions that do not sign `user` in any more."""
    living = [row.pk for row in _living(user)]
    UserSession.objects.filter(user=user).exclude(pk__in=living).delete()


@transaction.atomic
def end(user: User, session_id: int, *, by: User) -> bool:
    """Sign one browser of `user` out, its open sockets included; False when there is no such session (any more)."""
    row = UserSession.objects.filter(user=user, pk=session_id).first()
    if row is not None:
        _end(user, [row], by=by)
    return row is not None


@transaction.atomic
def end_others(user: User, session_key: str | None, *, by: User) -> int:
    """Sign out every browser of `user` but the one with `session_key`; returns how many that were."""
    rows = [row for row in _living(user) if row.session_key != session_key]
    if rows:
        _end(user, rows, by=by)
    return len(rows)


def _end(user: User, rows: list[UserSession], *, by: User) -> None:
    Session.objects.filter(session_key__in=[row.session_key for row in rows]).delete()
    UserSession.objects.filter(pk__in=[row.pk for row in rows]).delete()
    activity.record(by, "signed out a browser of", user, devices=[device(row.user_agent) for row in rows])
    live.tell(f"user:{user.pk}")


def _living(user: User) -> list[UserSession]:
    """Rows whose session still signs `user` in: neither run out, nor ended, nor from before the last new password."""
    rows = list(UserSession.objects.filter(user=user))
    sessions = Session.objects.filter(
        session_key__in=[row.session_key for row in rows], expire_date__gt=timezone.now()
    )
    proof = user.get_session_auth_hash()
    good = {one.session_key for one in sessions if one.get_decoded().get(HASH_SESSION_KEY) == proof}
    return [row for row in rows if row.session_key in good]


def address_of(request: HttpRequest) -> str:
    """The client's address; `UNKNOWN` when nobody can tell."""
    return client_address(request) or UNKNOWN


def agent_of(request: HttpRequest) -> str:
    """What the browser says it is."""
    size: Any = UserSession._meta.get_field("user_agent").max_length
    return request.headers.get("User-Agent", "")[:size]


def device(agent: str) -> str:
    """A browser's self-description in a few words: “Firefox on Linux”."""
    names = {
        "Edge": r"Edg[A/i]",
        "Opera": r"OPR/",
        "Firefox": r"Firefox/|FxiOS/",
        "Chrome": r"Chrom\w*/|CriOS/",
        "Safari": r"Safari/",
    }
    systems = {
        "Android": "Android",
        "iOS": r"iPhone|iPad",
        "Windows": "Windows",
        "macOS": "Mac OS X|Macintosh",
        "ChromeOS": "CrOS",
        "Linux": "Linux",
    }
    browser = next((name for name, sign in names.items() if re.search(sign, agent)), "")
    system = next((name for name, sign in systems.items() if re.search(sign, agent)), "")
    return " on ".join(filter(None, (browser, system))) or "An unknown browser"
