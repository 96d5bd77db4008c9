"""Handing apps and pipelines to another owner."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status

from accounts import access as account_access
from accounts.models import Team, Transfer, User
from api.asker import asker
from api.http import ranged
from api.shapes.base import AppRef, Ref, Time
from api.shapes.people import OwnerRef, Person
from apps import access
from apps import transfers as app_transfers
from apps.models import AppTransfer
from core.errors import NotFound, Refusal
from pipelines import access as pipeline_access
from pipelines import transfers
from pipelines.models import PipelineTransfer

router = Router(tags=["Transfers"])


class AppTransferOut(Schema):
    """An app on its way to another owner."""

    id: UUID
    app: AppRef
    owner: Person
    recipient: Person
    state: str
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: AppTransfer) -> "AppTransferOut":
        return cls(
            id=row.pk,
            app=AppRef.of(row.app),
            owner=Person.of(row.owner),
            recipient=Person.of(row.recipient),
            state="declined" if row.state == Transfer.State.WITHDRAWN else row.state,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class AppTransferIn(Schema):
    """An app, by name or id, and who shall have it, by address or id."""

    app: str
    recipient: str
    silent: bool = False


class AnswerIn(Schema):
    """Whether the recipient takes it: accepted or declined."""

    state: str


class PipelineTransferOut(Schema):
    """A pipeline on its way to another owner. A person has to accept it first: see their dashboard."""

    pipeline: Ref
    previous_owner: OwnerRef
    new_owner: OwnerRef
    state: str


class PipelineTransferIn(Schema):
    """A pipeline, and who shall have it."""

    pipeline: dict[str, Any]
    new_owner: OwnerRef


@router.get("/account/app-transfers", response={200: list[AppTransferOut], 206: list[AppTransferOut]})
def index(request: HttpRequest, response: HttpResponse) -> Status[list[AppTransferOut]]:
    """Apps that the asker offers, or is offered."""
    return ranged(request, response, _mine(asker(request)), AppTransferOut.of)


@router.post("/account/app-transfers", response={201: AppTransferOut})
def create(request: HttpRequest, body: AppTransferIn) -> Status[AppTransferOut]:
    """Offer an app to another person."""
    by = asker(request)
    found = access.app_for(by, body.app, to=access.MANAGE)
    recipient = _person(body.recipient)
    made = app_transfers.hand_over(found, recipient, by=by)
    if made is None:
        raise Refusal(f"{found.name} is yours already.")
    return Status(201, AppTransferOut.of(made))


@router.get("/account/app-transfers/{ref}", response=AppTransferOut)
def info(request: HttpRequest, ref: str) -> AppTransferOut:
    """One offer, by its id or the app's name."""
    return AppTransferOut.of(_one(request, ref))


@router.patch("/account/app-transfers/{ref}", response=AppTransferOut)
def answer(request: HttpRequest, ref: str, body: AnswerIn) -> AppTransferOut:
    """Accept an offer, or decline it."""
    by, row = asker(request), _one(request, ref)
    if body.state == Transfer.State.ACCEPTED:
        app_transfers.accept(row, by=by)
    elif body.state == Transfer.State.DECLINED:
        app_transfers.decline(row, by=by)
    else:
        raise Refusal("A state to set is accepted or declined.")
    row.refresh_from_db()
    return AppTransferOut.of(row)


@router.delete("/account/app-transfers/{ref}", response=AppTransferOut)
def withdraw(request: HttpRequest, ref: str) -> AppTransferOut:
    """Take an offer back."""
    row = _one(request, ref)
    app_transfers.withdraw(row, by=asker(request))
    row.refresh_from_db()
    return AppTransferOut.of(row)


@router.post("/pipeline-transfers", response={201: PipelineTransferOut})
def hand_over(request: HttpRequest, response: HttpResponse, body: PipelineTransferIn) -> Status[Any]:
    """Hand a pipeline and its apps to one's own team at once, or offer it to another person."""
    by = asker(request)
    pipeline = pipeline_access.pipeline_for(by, str(body.pipeline.get("id")), to=pipeline_access.MANAGE)
    kind = "team" if isinstance(pipeline.owner, Team) else "user"
    before = OwnerRef(id=pipeline.owner.pk, type=kind)
    made = transfers.hand_over(pipeline, _owner(by, body.new_owner), by=by)
    if isinstance(made, PipelineTransfer):
        response.headers["Warning-Message"] = f"{made.recipient.email} has to accept {pipeline.name} first."
    return Status(
        201,
        PipelineTransferOut(
            pipeline=Ref(id=pipeline.pk),
            previous_owner=before,
            new_owner=body.new_owner,
            state="pending" if made else "accepted",
        ),
    )


def _owner(by: User, ref: OwnerRef) -> User | Team:
    if ref.type != "team":
        return _person(str(ref.id))
    name = next((team.name for team in by.teams.all() if team.pk == ref.id), "")
    return account_access.team_for(by, name, to=account_access.DEPLOY)


def _person(ref: str) -> User:
    """An active person by address or id. Who hands something over has to know one of them."""
    people = User.objects.can_sign_in()
    try:
        found = people.filter(pk=UUID(ref)).first()
    except ValueError:
        found = people.filter(email__iexact=ref).first()
    if found is None:
        raise NotFound("Couldn't find that user.", resource="user")
    return found


def _mine(by: User) -> Any:
    rows = AppTransfer.objects.select_related("app", "owner", "recipient")
    return rows.filter(owner=by) | rows.filter(recipient=by)


def _one(request: HttpRequest, ref: str) -> AppTransfer:
    rows = _mine(asker(request))
    try:
        found = rows.filter(pk=UUID(ref)).first()
    except ValueError:
        found = rows.filter(app__name=ref, state=Transfer.State.PENDING).first()
    if found is None:
        raise NotFound("Couldn't find that app transfer.", resource="app_transfer")
    return found
