"""Delivers webhooks: each webhook's news one after the other, different webhooks at the same time.

A delivery is a row with a lease, as builds and releases are: at least once, whatever interrupts the conductor. A
receiver that does not answer at all rests longer and longer, so that those that hang, however many, leave the threads
to the others.
"""

import base64
import hashlib
import hmac
import json
import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from conductor.turns import Turns, release_connections
from core import failpoints
from core.errors import EngineError, LeaseLost, Refusal
from engine.outbound import Outbound
from hooks import payloads
from hooks.models import Delivery, News, Webhook

log = logging.getLogger(__name__)

THREADS = 16
NOTIFY_TRIES = 4
SYNC_SPAN = timedelta(hours=72)
LONGEST_PAUSE, LONGEST_REST = 3600.0, 300.0  # seconds


@dataclass(frozen=True)
class Outcome:
    """How one try went: the status that was answered, or what went wrong instead."""

    code: int | None
    error: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.code is not None and 200 <= self.code < 300


class Deliveries:
    """Has everything delivered that is due. `look` is cheap when nothing is."""

    def __init__(self) -> None:
        self._turns: Turns[UUID] = Turns(self._turn, threads=THREADS, name="hook")

    def start(self) -> None:
        """Begin."""
        self._turns.start()

    def stop(self) -> None:
        """Start no more; what is being sent gets a moment to end."""
        self._turns.stop(2)

    def look(self) -> None:
        """Find the webhooks that something is due for."""
        for webhook in Delivery.objects.claimable().order_by().values_list("webhook", flat=True).distinct():
            self._turns.ask(webhook)

    def _turn(self, webhook: UUID) -> None:
        try:
            self._deliver_next(webhook)
        finally:
            release_connections()

    def _deliver_next(self, webhook: UUID) -> None:
        delivery = Delivery.objects.filter(webhook=webhook).claim(seconds=6 * settings.WEBHOOK_SECONDS)
        if delivery is None:
            return
        failpoints.reach("hook.claimed")
        try:
            deliver(delivery)
        except LeaseLost:  # removed meanwhile
            log.info("Delivery %s is gone", delivery.pk)
        self._turns.ask(webhook)


def deliver(delivery: Delivery) -> None:
    """Try once, and write down what came of it."""
    hook, began, attempt = delivery.webhook, timezone.now(), uuid.uuid4()
    body = _body(delivery, attempt)
    release_connections()
    outcome = _send(hook, body)
    failpoints.reach("hook.sent")
    now = timezone.now()
    changes: dict[str, Any] = {
        "attempts": delivery.attempts + 1,
        "updated_at": now,
        "last_attempt": {
            "id": str(attempt),
            "code": outcome.code,
            "error_class": outcome.error,
            "status": "succeeded" if outcome.delivered else "failed",
            "created_at": payloads.time(began),
            "updated_at": payloads.time(now),
        },
    }
    _rest(hook, outcome, now)
    if outcome.delivered:
        delivery.end(Delivery.Status.SUCCEEDED, **changes)
    elif (pause := pause_after(delivery, now)) is None:
        delivery.end(Delivery.Status.FAILED, **changes)
    else:
        delivery.record(**changes)
        delivery.put_back(seconds=pause)


def pause_after(delivery: Delivery, now: datetime) -> float | None:
    """The seconds until the next try after one that failed; None when there is none."""
    if delivery.level == Webhook.Level.SYNC:
        over = now - delivery.created_at > SYNC_SPAN
    else:
        over = delivery.attempts + 1 >= NOTIFY_TRIES
    doubled = settings.WEBHOOK_RETRY_SECONDS * 2 ** min(delivery.attempts, 20)
    return None if over else min(doubled, LONGEST_PAUSE)


def signature(secret: str, body: bytes) -> str:
    """What `Heroku-Webhook-Hmac-SHA256` says of a body."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def forget_old() -> None:
    """Delete news, with its deliveries, that is older than it is kept, and webhooks of what is long gone."""
    News.objects.filter(at__lt=timezone.now() - timedelta(days=settings.KEEP_WEBHOOK_DAYS)).delete()
    orphans = Webhook.objects.filter(app=None, pipeline=None)
    orphans.exclude(deliveries__status__in=("pending", "running")).delete()


def _send(hook: Webhook, body: bytes) -> Outcome:
    headers = {"Content-Type": "application/json", "Heroku-Webhook-Hmac-SHA256": signature(hook.secret, body)}
    if hook.authorization:
        headers["Authorization"] = hook.authorization
    try:
        answer = Outbound(settings.OUTBOUND_ALLOW).request(
            "POST", hook.url, headers=headers, body=body, seconds=settings.WEBHOOK_SECONDS, max_bytes=0
        )
    except Refusal:
        return Outcome(None, "Refused")
    except EngineError as error:
        return Outcome(None, type(error.__cause__).__name__ if error.__cause__ else "Unreachable")
    return Outcome(answer.status)


def _body(delivery: Delivery, attempt: UUID) -> bytes:
    news = delivery.news
    told = {
        "id": str(news.ref),
        "created_at": payloads.time(news.at),
        "updated_at": payloads.time(news.at),
        "published_at": payloads.time(timezone.now()),
        "sequence": news.seq,
        "action": news.action,
        "actor": news.actor,
        "data": news.data,
        "previous_data": news.previous_data,
        "resource": news.resource,
        "version": payloads.VERSION,
        "webhook_metadata": {
            "attempt": {"id": str(attempt)},
            "delivery": {"id": str(delivery.pk)},
            "event": {"id": str(news.ref), "include": news.include},
            "webhook": {"id": str(delivery.webhook_id)},
        },
    }
    return json.dumps(told, separators=(",", ":")).encode()


def _rest(hook: Webhook, outcome: Outcome, now: datetime) -> None:
    """Leave a receiver alone for a while that did not answer at all."""
    if outcome.code is not None:
        if hook.failures:
            Webhook.objects.filter(pk=hook.pk).update(failures=0, rests_until=None)
        return
    seconds = min(settings.WEBHOOK_RETRY_SECONDS / 15 * 2 ** min(hook.failures, 20), LONGEST_REST)
    Webhook.objects.filter(pk=hook.pk).update(
        failures=hook.failures + 1, rests_until=now + timedelta(seconds=seconds)
    )
