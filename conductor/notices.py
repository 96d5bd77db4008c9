"""Sends notices: those of one chat one after the other, of several at the same time, mails by themselves.

A notice is a row with a lease, sent at least once, always under the same id. A receiver that refuses or does not answer
rests longer and longer, or for as long as it says; that keeps nobody else waiting.
"""

import json
import logging
import smtplib
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts import mail
from conductor.turns import Turns, release_connections
from core import failpoints
from core.errors import EngineError, LeaseLost, Refusal
from engine.outbound import Answer, Outbound
from notices import access, formats, tellers
from notices.models import Channel, Notice
from notices.stories import Stale, Story, page

log = logging.getLogger(__name__)

THREADS = 8
LEASE_SECONDS = 60.0
GIVE_UP_AFTER = timedelta(hours=24)
LONGEST_PAUSE = 3600.0  # seconds
PASSING = frozenset([408, 425, 429])  # refusals that may end by themselves
MAILS = "mails"  # the key of the one queue that all of them are in


@dataclass(frozen=True)
class Outcome:
    """How one try went. `error` is empty when it was taken; `again` says whether to try once more, `after` when."""

    error: str = ""
    again: bool = True
    after: float | None = None  # seconds, when the receiver says so


class Notices:
    """Has everything sent that is due. `look` is cheap when nothing is."""

    def __init__(self) -> None:
        self._turns: Turns[str] = Turns(self._turn, threads=THREADS, name="notice")

    def start(self) -> None:
        """Begin."""
        self._turns.start()

    def stop(self) -> None:
        """Start no more; what is being sent gets a moment to end."""
        self._turns.stop(2)

    def look(self) -> None:
        """Find the receivers that something is due for."""
        due = Notice.objects.claimable().order_by()
        for channel, kind in set(due.values_list("channel", "channel__kind")):
            by_mail = channel is None or kind == Channel.Kind.EMAIL
            self._turns.ask(MAILS if by_mail else str(channel))

    def _turn(self, key: str) -> None:
        try:
            self._send_next(key)
        finally:
            release_connections()

    def _send_next(self, key: str) -> None:
        mails = Q(channel=None) | Q(channel__kind=Channel.Kind.EMAIL)
        mine = Notice.objects.filter(mails if key == MAILS else Q(channel=key))
        notice = mine.claim(seconds=LEASE_SECONDS)
        if notice is None:
            return
        failpoints.reach("notice.claimed")
        try:
            send(notice)
        except LeaseLost:  # its channel was removed meanwhile
            log.info("Notice %s is gone", notice.pk)
        self._turns.ask(key)


def send(notice: Notice) -> None:
    """Try once, and write down what came of it."""
    notice = _with_all(notice)
    try:
        story = _story(notice)
    except Stale as reason:
        notice.end(Notice.Status.SKIPPED, reason=str(reason)[:300])
        return
    release_connections()
    outcome = _mail(notice, story) if _is_mail(notice) else _post(notice, story)
    failpoints.reach("notice.sent")
    _note(notice, outcome)
    pause = _pause(notice, outcome)
    if not outcome.error:
        notice.end(Notice.Status.SUCCEEDED, reason="")
    elif pause is None:
        notice.end(Notice.Status.FAILED, reason=outcome.error[:300])
    else:
        notice.record(reason=outcome.error[:300])
        notice.put_back(seconds=pause)


def forget_old() -> None:
    """Delete notices that are older than news is kept."""
    over = timezone.now() - timedelta(days=settings.KEEP_WEBHOOK_DAYS)
    Notice.objects.filter(created_at__lt=over).exclude(status__in=("pending", "running")).delete()


def _with_all(notice: Notice) -> Notice:
    """The row with those beside it, under the lease that we hold."""
    rows = Notice.objects.select_related("channel__pipeline", "user", "pipeline", "app")
    found = rows.filter(pk=notice.pk).first()
    if found is None:
        raise LeaseLost(f"Notice {notice.pk}")
    found.lease_token = notice.lease_token
    return found


def _story(notice: Notice) -> Story:
    why_not = access.why_not(notice)
    if why_not:
        raise Stale(why_not)
    return tellers.story_of(notice)


def _is_mail(notice: Notice) -> bool:
    return notice.channel is None or notice.channel.by_mail


def _mail(notice: Notice, story: Story) -> Outcome:
    address = notice.channel.address if notice.channel else notice.user.email if notice.user else ""
    if not settings.MAIL:
        return Outcome("This Slipway sends no mail any more.", again=False)
    try:
        mail.send(address, story.title, _letter(notice, story), id=str(notice.pk))
    except smtplib.SMTPRecipientsRefused:
        return Outcome("The mail server does not know the address.", again=False)
    except (OSError, smtplib.SMTPException) as error:
        return Outcome(f"The mail server did not take it: {type(error).__name__}.")
    return Outcome()


def _letter(notice: Notice, story: Story) -> str:
    if notice.user is None:
        return story.text
    return f"{story.text}\n\nWhat you are mailed is up to you: {page('account-mails')}\n"


def _post(notice: Notice, story: Story) -> Outcome:
    channel = notice.channel
    assert channel is not None
    body = json.dumps(formats.body(notice, channel, story)).encode()
    headers = {"Content-Type": "application/json", "Slipway-Notice": str(notice.pk)}
    try:
        answer = Outbound(settings.OUTBOUND_ALLOW).request(
            "POST",
            channel.address,
            headers=headers,
            body=body,
            seconds=settings.WEBHOOK_SECONDS,
            max_bytes=0,
        )
    except Refusal as refusal:
        return Outcome(refusal.message, again=False)
    except EngineError as error:
        return Outcome(str(error))
    return _judge(answer)


def _judge(answer: Answer) -> Outcome:
    if 200 <= answer.status < 300:
        return Outcome()
    error = f"It answered {answer.status}."
    if answer.status in PASSING or answer.status >= 500:
        return Outcome(error, after=_seconds(answer.headers.get("retry-after", "")))
    return Outcome(error, again=False)


def _seconds(text: str) -> float | None:
    """What Retry-After says; a date, which no chat sends, says nothing."""
    told = text.partition(".")[0].strip()
    if not told.isascii() or not told.isdecimal() or len(told) > 9:
        return None
    return min(max(float(told), 1.0), LONGEST_PAUSE)


def _pause(notice: Notice, outcome: Outcome) -> float | None:
    """The seconds until the next try; None when there is none."""
    if not outcome.again or timezone.now() - notice.created_at > GIVE_UP_AFTER:
        return None
    doubled = settings.WEBHOOK_RETRY_SECONDS * 2 ** min(notice.attempt - 1, 16)
    return min(outcome.after or doubled, LONGEST_PAUSE)


def _note(notice: Notice, outcome: Outcome) -> None:
    """Have the channel know how it went, and rest after what went wrong."""
    if notice.channel is None:
        return
    rows, now = Channel.objects.filter(pk=notice.channel.pk), timezone.now()
    if not outcome.error:
        rows.update(failures=0, rests_until=None, error="", told_at=now)
        return
    failures = notice.channel.failures + 1
    seconds = outcome.after or min(settings.WEBHOOK_RETRY_SECONDS / 15 * 2 ** min(failures - 1, 12), 300.0)
    rests = now + timedelta(seconds=seconds) if outcome.again else None
    rows.update(failures=failures, rests_until=rests, error=outcome.error[:300])
