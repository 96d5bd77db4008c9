"""Notifications, which the Heroku CLI asks a host of their own for."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema

from api.asker import asker
from api.resources.bridged.hosts import TELEX
from api.shapes.base import Time
from pipelines import notifications

router = Router(tags=["Fixed hosts"])


class ReadIn(Schema):
    """Whether it has been read."""

    read: bool


class TargetOut(Schema):
    """What a notification is about."""

    type: str
    id: UUID
    name: str


class NotificationOut(Schema):
    """Something to hear of."""

    id: UUID
    title: str
    body: str
    read: bool
    target: TargetOut
    created_at: Time
    followup: list[str] = []

    @classmethod
    def of(cls, told: notifications.Notification) -> "NotificationOut":
        target = TargetOut(type=told.about, id=told.thing, name=told.name)
        return cls(
            id=told.id, title=told.title, body=told.body, read=told.read, target=target, created_at=told.at
        )


@router.get(f"/{TELEX}/user/notifications", response=list[NotificationOut])
def told(request: HttpRequest) -> list[NotificationOut]:
    """Offers and invitations that wait for the asker, and what failed in their apps in the last 14 days."""
    return [NotificationOut.of(one) for one in notifications.notifications(asker(request))]


@router.patch(f"/{TELEX}/user/notifications/{{ref}}", response=NotificationOut)
def read(request: HttpRequest, ref: UUID, body: ReadIn) -> NotificationOut:
    """Note that a notification has been read."""
    return NotificationOut.of(notifications.mark(ref, read=body.read, by=asker(request)))
