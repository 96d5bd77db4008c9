"""Handing an app to another owner: to another person in two steps, to a team of one's own at once."""

from django.db import transaction

from accounts import transfers
from accounts.models import Team, User
from apps import access, actions
from apps.models import App, AppTransfer
from core import activity, live
from core.errors import Conflict, NotFound

State = AppTransfer.State


@transaction.atomic
def hand_over(app: App, owner: User | Team, *, by: User) -> AppTransfer | None:
    """Give the app to `by` or a team of theirs at once (None); to anybody else, offer it (the open transfer)."""
    if not transfers.needs_consent(owner, by=by):
        actions.transfer_app(app, owner, by=by)
        return None
    assert isinstance(owner, User)
    transfer = transfers.offer(AppTransfer, owner, by=by, app=app)
    activity.record(by, "offered", app, to=owner.email)
    live.tell(app.topic)
    return transfer


@transaction.atomic
def accept(transfer: AppTransfer, *, by: User) -> App:
    """Take the app that was offered to `by`, while who offered it still manages it."""
    transfers.demand_recipient(transfer, by)
    transfers.settle(transfer, State.ACCEPTED)
    app = App.objects.alive().select_for_update().filter(pk=transfer.app_id).first()
    if app is None:
        raise NotFound("Couldn't find that app.", resource="app")
    if access.MANAGE not in access.rights_in(transfer.owner, app):
        raise Conflict(f"{transfer.owner.get_full_name()} does not manage {app.name} any more.")
    activity.record(by, "accepted", app, offered_by=transfer.owner.email)
    return actions.transfer_app(app, by, by=by)


@transaction.atomic
def decline(transfer: AppTransfer, *, by: User) -> None:
    """Leave the app where it is, as who it was offered to."""
    transfers.demand_recipient(transfer, by)
    _end(transfer, State.DECLINED, "declined", by)


@transaction.atomic
def withdraw(transfer: AppTransfer, *, by: User) -> None:
    """Take the offer back, as one who manages the app."""
    access.demand(
        access.rights_in(by, transfer.app), access.MANAGE, what="app", resource="app", name=transfer.app.name
    )
    _end(transfer, State.WITHDRAWN, "withdrew the offer of", by)


def open_for(app: App) -> AppTransfer | None:
    """The offer of the app that is open, if there is one."""
    rows = AppTransfer.objects.filter(app=app, state=State.PENDING)
    return rows.select_related("owner", "recipient", "app").first()


def _end(transfer: AppTransfer, state: str, verb: str, by: User) -> None:
    transfers.settle(transfer, state)
    activity.record(by, verb, transfer.app, to=transfer.recipient.email)
    live.tell(transfer.app.topic)
