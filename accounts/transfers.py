"""Handing something to another person: it is offered, and theirs once they accept. `apps.transfers` and
`pipelines.transfers` say what changes hands; here is how an offer is moved on, which is the same for both."""

from typing import Any, TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import mail
from accounts.models import Team, Transfer, User
from core import live
from core.errors import Conflict, NotFound

T = TypeVar("T", bound=Transfer)
PENDING = Transfer.State.PENDING


def needs_consent(owner: User | Team, *, by: User) -> bool:
    """Whether `owner` has to accept what `by` hands over: another person does, `by` and a team of theirs do not."""
    return isinstance(owner, User) and owner.pk != by.pk


def offer(model: type[T], recipient: User, *, by: User, **thing: Any) -> T:
    """Offer `thing`, a field of `model`, to `recipient`. One offer of a thing is open at a time. Call it in a
    transaction."""
    try:
        with transaction.atomic():
            made = model(owner=by, recipient=recipient, **thing)
            made.save(force_insert=True)
    except IntegrityError as error:
        [name] = [str(value) for value in thing.values()]
        raise Conflict(
            f"{name} is offered to somebody already. Withdraw that first.",
            fields={"owner": "It is offered to somebody already."},
        ) from error
    _tell(made)
    _write(made)
    return made


def settle(transfer: Transfer, state: str) -> None:
    """Move an open transfer to its last state. Of several who try at once one succeeds, the others get a
    `Conflict` that says what became of it."""
    rows: Any = type(transfer)._default_manager
    now = timezone.now()
    if not rows.filter(pk=transfer.pk, state=PENDING).update(state=state, updated_at=now):
        word = rows.values_list("state", flat=True).filter(pk=transfer.pk).first()
        raise Conflict(f"This transfer has been {word or 'taken away'} already.")
    transfer.state, transfer.updated_at = state, now
    _tell(transfer)


def demand_recipient(transfer: Transfer, by: User) -> None:
    """`NotFound` for everybody but who it is offered to."""
    if transfer.recipient_id != by.pk:
        raise NotFound("Couldn't find that transfer.", resource="transfer")


def withdraw_open(model: type[Transfer], **thing: Any) -> None:
    """End what offers of `thing` are open, because it has another owner now."""
    rows: Any = model._default_manager
    for transfer in rows.filter(state=PENDING, **thing).select_related("owner", "recipient"):
        if rows.filter(pk=transfer.pk, state=PENDING).update(
            state=Transfer.State.WITHDRAWN, updated_at=timezone.now()
        ):
            _tell(transfer)


def _write(transfer: Transfer) -> None:
    """Have the recipient know by mail, where there is a mail server."""
    said = {
        "transfer": transfer,
        "host": settings.HOST,
        "url": settings.URL + reverse("transfers", urlconf=settings.ROOT_URLCONF),
    }
    subject = f"{transfer.owner.get_full_name()} offers you {transfer.thing}"
    text = render_to_string("transfers/offered.txt", said)
    mail.send_soon(transfer.recipient.email, " ".join(subject.split()), text)


def _tell(transfer: Transfer) -> None:
    for user in (transfer.owner_id, transfer.recipient_id):
        live.tell(f"user:{user}")
