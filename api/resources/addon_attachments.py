"""Attachments: which app uses which add-on, and under which name."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status

from addons import access, attachments
from addons.models import Attachment
from api.asker import asker
from api.http import ranged
from api.shapes.addons import AttachmentOut, text_of
from apps import access as app_access
from core.errors import Refusal
from pipelines import addons as door

router = Router(tags=["Add-ons"])


class NewAttachment(Schema):
    """Which add-on, to which app; `confirm` is the app's name, where something gives way."""

    addon: dict[str, Any] | str
    app: dict[str, Any] | str
    name: str | None = None
    namespace: str | None = None
    confirm: str | None = None


class AttachmentQuery(Schema):
    """What an attachment is called: its name, its config var, or its add-on's name."""

    addon_attachment: str
    app: str | None = None
    addon_service: str | None = None


ATTACHMENTS = {200: list[AttachmentOut], 206: list[AttachmentOut]}


@router.get("/addon-attachments", response=ATTACHMENTS)
def index(request: HttpRequest, response: HttpResponse) -> Status[list[AttachmentOut]]:
    """Every attachment to the apps that the asker may view."""
    return ranged(request, response, access.attachments_for(asker(request)), AttachmentOut.of)


@router.get("/addon-attachments/{ref}", response=AttachmentOut)
def info(request: HttpRequest, ref: str) -> AttachmentOut:
    """One attachment, by id, or by its name where that is clear."""
    return AttachmentOut.of(_one(access.find_attachments(asker(request), ref)))


@router.get("/apps/{app}/addon-attachments", response=ATTACHMENTS)
def of_app(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[AttachmentOut]]:
    """What is attached to an app."""
    found = app_access.app_for(asker(request), app)
    return ranged(request, response, access.attachments_of(found), AttachmentOut.of)


@router.get("/apps/{app}/addon-attachments/{ref}", response=AttachmentOut)
def info_of_app(request: HttpRequest, app: str, ref: str) -> AttachmentOut:
    """One attachment of an app, by name or id."""
    by = asker(request)
    return AttachmentOut.of(_one(access.find_attachments(by, ref, app=app_access.app_for(by, app))))


@router.get("/addons/{ref}/addon-attachments", response=ATTACHMENTS)
def of_addon(request: HttpRequest, response: HttpResponse, ref: str) -> Status[list[AttachmentOut]]:
    """Where an add-on is attached, among the apps that the asker may view."""
    by = asker(request)
    rows = access.attachments_for(by).filter(addon=access.addon_for(by, ref))
    return ranged(request, response, rows, AttachmentOut.of)


@router.post("/addon-attachments", response={201: AttachmentOut})
def create(request: HttpRequest, body: NewAttachment) -> Status[AttachmentOut]:
    """Attach an add-on to an app, in one release. What has the name already gives way only when that is confirmed."""
    by = asker(request)
    app = door.app_to_attach(by, text_of(body.app))
    addon = door.addon_to_share(by, access.addon_for(by, text_of(body.addon)))
    credential = (body.namespace or "").removeprefix("credential:")
    made = attachments.attach(
        addon, app, as_=body.name or "", credential=credential, confirm=body.confirm or "", by=by
    )
    return Status(201, AttachmentOut.of(_whole(made)))


@router.delete("/addon-attachments/{ref}", response=AttachmentOut)
def delete(request: HttpRequest, ref: str) -> AttachmentOut:
    """Detach, in one release. The last attachment stays as long as the add-on does."""
    by = asker(request)
    found = door.attachment_to_detach(by, _one(access.find_attachments(by, ref)))
    told = AttachmentOut.of(found)
    attachments.detach(found, by=by)
    return told


@router.post("/actions/addon-attachments/resolve", response=list[AttachmentOut])
def resolve(request: HttpRequest, body: AttachmentQuery) -> list[AttachmentOut]:
    """The attachments that a name may mean."""
    by = asker(request)
    app = app_access.app_for(by, body.app) if body.app else None
    rows = access.find_attachments(by, body.addon_attachment, app=app, service=body.addon_service or "")
    return [AttachmentOut.of(row) for row in rows]


def _one(rows: list[Attachment]) -> Attachment:
    if len(rows) > 1:
        names = ", ".join(f"{row.app.name}::{row.name}" for row in rows[:20])
        raise Refusal(
            f"That name may mean any of {names}: give one of these with its app.", id="multiple_matches"
        )
    return rows[0]


def _whole(row: Attachment) -> Attachment:
    found: Attachment = access.whole(Attachment.objects.filter(pk=row.pk)).get()
    return found
