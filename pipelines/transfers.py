"""Handing a pipeline, and the apps in it, to another owner; and the one door to what is offered to a person."""

from uuid import UUID

from django.db import transaction

from accounts import transfers
from accounts.models import Team, Transfer, User
from apps import access as app_access
from apps import transfers as app_transfers
from apps.models import AppTransfer
from core import activity, live
from core.errors import Conflict, NotFound
from pipelines import access, actions
from pipelines.models import Pipeline, PipelineTransfer

State = PipelineTransfer.State
RELATED = ("owner", "recipient")


@transaction.atomic
def hand_over(pipeline: Pipeline, owner: User | Team, *, by: User) -> PipelineTransfer | None:
    """Give the pipeline and its apps to `by` or a team of theirs at once (None); to anybody else, offer them (the
    open transfer). `Refusal` when `by` does not manage one of the apps."""
    actions.demand_all_managed(pipeline, by)
    if not transfers.needs_consent(owner, by=by):
        actions.transfer_pipeline(pipeline, owner, by=by)
        return None
    assert isinstance(owner, User)
    transfer = transfers.offer(PipelineTransfer, owner, by=by, pipeline=pipeline)
    activity.record(by, "offered", pipeline, to=owner.email)
    live.tell(pipeline.topic)
    return transfer


def accept(transfer: Transfer, *, by: User) -> None:
    """Take what was offered to `by`: an app, or a pipeline with the apps that are in it now. `Conflict` when who
    offered it does not manage all of that any more."""
    if isinstance(transfer, AppTransfer):
        app_transfers.accept(transfer, by=by)
    elif isinstance(transfer, PipelineTransfer):
        _accept(transfer, by=by)


def decline(transfer: Transfer, *, by: User) -> None:
    """Leave what was offered to `by` where it is."""
    if isinstance(transfer, AppTransfer):
        app_transfers.decline(transfer, by=by)
    elif isinstance(transfer, PipelineTransfer):
        transfers.demand_recipient(transfer, by)
        _end(transfer, State.DECLINED, "declined", by)


def withdraw(transfer: Transfer, *, by: User) -> None:
    """Take an offer back, as one who manages the thing."""
    if isinstance(transfer, AppTransfer):
        app_transfers.withdraw(transfer, by=by)
    elif isinstance(transfer, PipelineTransfer):
        access.pipeline_for(by, str(transfer.pipeline_id), to=access.MANAGE)
        _end(transfer, State.WITHDRAWN, "withdrew the offer of", by)


def waiting_for(user: User) -> list[Transfer]:
    """What is offered to `user` and waits for their word, oldest first. Two queries."""
    return _open(recipient=user)


def offered_by(user: User) -> list[Transfer]:
    """What `user` offers to others who have not answered yet, oldest first. Two queries."""
    return _open(owner=user)


def open_for(pipeline: Pipeline) -> PipelineTransfer | None:
    """The offer of the pipeline that is open, if there is one."""
    rows = PipelineTransfer.objects.filter(pipeline=pipeline, state=State.PENDING)
    return rows.select_related(*RELATED, "pipeline").first()


def transfer_for(user: User, pk: UUID) -> Transfer:
    """The transfer of that id, for who offers it, who it is offered to and who manages the thing; it may have ended.
    Foreign and absent are the same `NotFound`."""
    found: AppTransfer | PipelineTransfer | None = (
        AppTransfer.objects.select_related(*RELATED, "app").filter(pk=pk).first()
        or PipelineTransfer.objects.select_related(*RELATED, "pipeline").filter(pk=pk).first()
    )
    if found is None or not (user.pk in (found.owner_id, found.recipient_id) or _manages(user, found)):
        raise NotFound("Couldn't find that transfer.", resource="transfer")
    return found


def _open(**of: User) -> list[Transfer]:
    apps = AppTransfer.objects.filter(state=State.PENDING, app__destroyed_at=None, **of)
    pipelines = PipelineTransfer.objects.filter(state=State.PENDING, **of)
    found: list[Transfer] = [
        *pipelines.select_related(*RELATED, "pipeline"),
        *apps.select_related(*RELATED, "app"),
    ]
    return sorted(found, key=lambda transfer: transfer.created_at)


def _manages(user: User, transfer: AppTransfer | PipelineTransfer) -> bool:
    if isinstance(transfer, AppTransfer):
        return access.MANAGE in app_access.rights_in(user, transfer.app)
    return access.MANAGE in access.rights_in(user, transfer.pipeline)


@transaction.atomic
def _accept(transfer: PipelineTransfer, *, by: User) -> None:
    transfers.demand_recipient(transfer, by)
    transfers.settle(transfer, State.ACCEPTED)
    pipeline = Pipeline.objects.select_for_update().get(pk=transfer.pipeline_id)
    if access.MANAGE not in access.rights_in(transfer.owner, pipeline):
        raise Conflict(f"{transfer.owner.get_full_name()} does not manage {pipeline.name} any more.")
    activity.record(by, "accepted", pipeline, offered_by=transfer.owner.email)
    actions.transfer_pipeline(pipeline, by, by=by, giver=transfer.owner)


@transaction.atomic
def _end(transfer: PipelineTransfer, state: str, verb: str, by: User) -> None:
    transfers.settle(transfer, state)
    activity.record(by, verb, transfer.pipeline, to=transfer.recipient.email)
    live.tell(transfer.pipeline.topic)
