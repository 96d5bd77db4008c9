"""The inboxes of mailer add-ons: mail comes in, is held to the plan's limits, and is deleted."""

import hmac
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

from django.db import connections, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from addons import actions, letters
from addons.mail_models import Mail
from addons.models import Addon
from addons.orders import order_of
from addons.providers.mailer import MAILER, password_of
from core import activity, live
from core.errors import EngineError
from core.text import storable
from engine.servers.mailer import Mailer, Sent

log = logging.getLogger(__name__)
MESSAGES, DAYS, STORAGE_MB = 200, 7, 50  # of a plan that says nothing
MB = 1024 * 1024
ADDRESSES = 4000  # characters of a mail's recipients that are kept
F = TypeVar("F", bound=Callable[..., Any])


def topic_of(addon: Addon) -> str:
    """What is nudged when an inbox changes."""
    return f"addon:{addon.pk}"


# --- mail comes in ----------------------------------------------------------------------------------------------------


def _lets_go(work: F) -> F:
    """For threads that are not Django's: give connections to the database back when the work is done."""

    @wraps(work)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return work(*args, **kwargs)
        finally:
            connections.close_all()

    return wrapped  # type: ignore[return-value]


class Inboxes:
    """What the mailer asks; see `engine.servers.mailer.Post`."""

    @_lets_go
    def box(self, user: str, password: str) -> str | None:
        """The add-on that these lead to."""
        try:
            addon = _there(str(UUID(user)))
        except ValueError:
            return None
        if addon is None:
            return None
        known = password_of(order_of(addon))
        return str(addon.pk) if hmac.compare_digest(known.encode(), password.encode()) else None

    @_lets_go
    def put(self, box: str, mail: Sent) -> bool:
        """Keep a mail."""
        addon = _there(box)
        if addon is None:
            return False
        receive(addon, mail)
        return True


def _there(id: str) -> Addon | None:
    rows = Addon.objects.there().whole().filter(pk=id, plan__service__name=MAILER)
    return rows.exclude(state=Addon.State.FAILED).first()


@transaction.atomic
def receive(addon: Addon, sent: Sent) -> Mail:
    """Keep a mail; the oldest go where there are too many now."""
    author, _, subject = letters.headline(sent.raw)
    mail = Mail.objects.create(
        addon=addon,
        sender=_line(sent.sender)[:320],
        recipients=", ".join(map(_line, sent.recipients))[:ADDRESSES],
        author=(author or _line(sent.sender))[:300],
        subject=subject[:300],
        size=len(sent.raw),
        raw=sent.raw,
    )
    trim(addon)
    live.tell(topic_of(addon))
    return mail


def trim(addon: Addon) -> int:
    """Delete what is beyond the plan's number, bytes and days, the oldest first; returns how many went."""
    limits = addon.plan.limits
    room, most = limits.get("storage_mb", STORAGE_MB) * MB, limits.get("messages", MESSAGES)
    since = timezone.now() - timedelta(days=limits.get("days", DAYS))
    gone = []
    rows = Mail.objects.filter(addon=addon).values_list("pk", "size", "received_at")
    for place, (pk, size, at) in enumerate(rows):
        room -= size
        if place >= most or room < 0 or at < since:
            gone.append(pk)
    Mail.objects.filter(pk__in=gone).delete()
    return len(gone)


def forget_old() -> None:
    """Hold every inbox to its plan, also those that nothing comes into."""
    for addon in Addon.objects.whole().filter(plan__service__name=MAILER):
        if trim(addon):
            live.tell(topic_of(addon))


def follow(mailer: Mailer) -> None:
    """For who leads, from its start on: have the mailer listen if anybody has an inbox, and apps told where, if that is not
    what they know: the port was set anew, the platform is on another machine, or the engine has got a second node."""
    rows = Addon.objects.there().whole().filter(plan__service__name=MAILER, state=Addon.State.PROVISIONED)
    if not rows:
        return
    try:
        host, port = mailer.want()
    except EngineError as error:
        log.error("Mail is not taken: %s", error)
        return
    for addon in rows:
        known = addon.config.get("", {})
        if known and (known.get("SMTP_HOST"), known.get("SMTP_PORT")) != (host, str(port)):
            with transaction.atomic():
                actions.ask(actions.locked(addon), ["credential", ""])


# --- people look at it, and delete it ---------------------------------------------------------------------------------


def found(addon: Addon, words: str) -> "QuerySet[Mail]":
    """The mails of an inbox, newest first, without their content: those that have all `words` in sender, recipients or
    subject."""
    rows = Mail.objects.filter(addon=addon).defer("raw")
    for word in words.split()[:10]:
        rows = rows.filter(
            Q(recipients__icontains=word)
            | Q(subject__icontains=word)
            | Q(author__icontains=word)
            | Q(sender__icontains=word)
        )
    return rows


@transaction.atomic
def delete(addon: Addon, mail: Mail, *, by: User) -> None:
    """Delete a mail. No error when it has gone."""
    if Mail.objects.filter(addon=addon, pk=mail.pk).delete()[0]:
        _note(by, "deleted a mail of", addon)


@transaction.atomic
def empty(addon: Addon, *, by: User) -> int:
    """Delete all mails of an inbox; returns how many these were."""
    count = Mail.objects.filter(addon=addon).delete()[0]
    if count:
        _note(by, "emptied the inbox of", addon, mails=count)
    return count


def _note(by: User, verb: str, addon: Addon, **details: Any) -> None:
    activity.record(by, verb, addon, app=addon.app, pipeline=addon.pipeline, **details)
    live.tell(topic_of(addon))


def _line(text: str) -> str:
    return " ".join(str(storable(text)).split())
