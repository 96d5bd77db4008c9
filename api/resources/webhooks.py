"""Webhooks of apps and of pipelines, what they are told, and how that went."""

from collections.abc import Callable
from typing import Any, Self
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field

from api.asker import asker
from api.http import ranged
from api.shapes.base import Named, Time
from api.shapes.people import Person
from apps import access as app_access
from apps.models import App
from core.errors import NotFound
from hooks import actions, payloads
from hooks.models import OPEN, Delivery, News, Webhook
from pipelines import access as pipeline_access
from pipelines.models import Pipeline

router = Router(tags=["Webhooks"])
Owner = App | Pipeline


class WebhookIn(Schema):
    """A new webhook."""

    include: list[str] = Field(max_length=50)
    level: str
    url: str
    secret: str | None = None
    authorization: str | None = None


class WebhookChange(Schema):
    """What of a webhook can be changed."""

    include: list[str] | None = Field(None, max_length=50)
    level: str | None = None
    url: str | None = None
    secret: str | None = None
    authorization: str | None = None


class WebhookOut(Schema):
    """A webhook. Its secret and its Authorization header are not told."""

    id: UUID
    app: Named | None
    pipeline: Named | None
    include: list[str]
    level: str
    url: str
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, hook: Webhook) -> Self:
        return cls(
            id=hook.pk,
            app=_named(hook.app),
            pipeline=_named(hook.pipeline),
            include=hook.include,
            level=hook.level,
            url=hook.url,
            created_at=hook.created_at,
            updated_at=hook.updated_at,
        )


class EventRef(Schema):
    """What a delivery is about."""

    id: UUID
    include: str


class WebhookRef(Schema):
    """Where a delivery goes."""

    id: UUID
    level: str


class AttemptOut(Schema):
    """One try to deliver."""

    id: UUID
    code: int | None
    error_class: str | None
    status: str
    created_at: str
    updated_at: str


class DeliveryOut(Schema):
    """A piece of news on its way to a webhook."""

    id: UUID
    event: EventRef
    webhook: WebhookRef
    status: str
    num_attempts: int
    next_attempt_at: Time | None
    last_attempt: AttemptOut | None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        waits = delivery.status in OPEN
        return cls(
            id=delivery.pk,
            event=EventRef(id=delivery.news.ref, include=delivery.news.include),
            webhook=WebhookRef(id=delivery.webhook_id, level=delivery.level),
            status=delivery.word,
            num_attempts=delivery.attempts,
            next_attempt_at=delivery.wake_at if waits else None,
            last_attempt=delivery.last_attempt,
            created_at=delivery.created_at,
            updated_at=delivery.updated_at,
        )


class PayloadOut(Schema):
    """What receivers are sent."""

    action: str
    actor: Person
    data: dict[str, Any]
    previous_data: dict[str, Any]
    published_at: Time
    resource: str
    sequence: int
    version: str


class EventOut(Schema):
    """Something that happened and that a webhook was to be told of."""

    id: UUID
    include: str
    payload: PayloadOut
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, news: News) -> Self:
        payload = PayloadOut(
            action=news.action,
            actor=Person(**news.actor),
            data=news.data,
            previous_data=news.previous_data,
            published_at=news.at,
            resource=news.resource,
            sequence=news.seq,
            version=payloads.VERSION,
        )
        return cls(id=news.ref, include=news.include, payload=payload, created_at=news.at, updated_at=news.at)


HOOKS = {200: list[WebhookOut], 206: list[WebhookOut]}
DELIVERIES = {200: list[DeliveryOut], 206: list[DeliveryOut]}
EVENTS = {200: list[EventOut], 206: list[EventOut]}


# --- webhooks ---------------------------------------------------------------------------------------------------------


@router.get("/apps/{app}/webhooks", response=HOOKS)
def of_app(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[WebhookOut]]:
    """The webhooks of an app."""
    return _list(request, response, _app(request, app))


@router.post("/apps/{app}/webhooks", response={201: WebhookOut})
def add_to_app(request: HttpRequest, response: HttpResponse, app: str, body: WebhookIn) -> Status[WebhookOut]:
    """Have a URL told of what happens to an app. The header `Heroku-Webhook-Secret` tells the secret, this once."""
    return _add(request, response, _app(request, app), body)


@router.get("/apps/{app}/webhooks/{ref}", response=WebhookOut)
def one_of_app(request: HttpRequest, app: str, ref: str) -> WebhookOut:
    """One webhook of an app."""
    return WebhookOut.of(actions.webhook_of(_app(request, app), ref))


@router.patch("/apps/{app}/webhooks/{ref}", response=WebhookOut)
def change_of_app(request: HttpRequest, app: str, ref: str, body: WebhookChange) -> WebhookOut:
    """Change a webhook of an app."""
    return _change(request, actions.webhook_of(_app(request, app), ref), body)


@router.delete("/apps/{app}/webhooks/{ref}", response=WebhookOut)
def remove_from_app(request: HttpRequest, app: str, ref: str) -> WebhookOut:
    """Remove a webhook of an app; what waits to be delivered is dropped."""
    return _remove(request, actions.webhook_of(_app(request, app), ref))


@router.get("/pipelines/{pipeline}/webhooks", response=HOOKS)
def of_pipeline(request: HttpRequest, response: HttpResponse, pipeline: str) -> Status[list[WebhookOut]]:
    """The webhooks of a pipeline."""
    return _list(request, response, _pipeline(request, pipeline))


@router.post("/pipelines/{pipeline}/webhooks", response={201: WebhookOut})
def add_to_pipeline(
    request: HttpRequest, response: HttpResponse, pipeline: str, body: WebhookIn
) -> Status[WebhookOut]:
    """Have a URL told of what happens to a pipeline."""
    return _add(request, response, _pipeline(request, pipeline), body)


@router.get("/pipelines/{pipeline}/webhooks/{ref}", response=WebhookOut)
def one_of_pipeline(request: HttpRequest, pipeline: str, ref: str) -> WebhookOut:
    """One webhook of a pipeline."""
    return WebhookOut.of(actions.webhook_of(_pipeline(request, pipeline), ref))


@router.patch("/pipelines/{pipeline}/webhooks/{ref}", response=WebhookOut)
def change_of_pipeline(request: HttpRequest, pipeline: str, ref: str, body: WebhookChange) -> WebhookOut:
    """Change a webhook of a pipeline."""
    return _change(request, actions.webhook_of(_pipeline(request, pipeline), ref), body)


@router.delete("/pipelines/{pipeline}/webhooks/{ref}", response=WebhookOut)
def remove_from_pipeline(request: HttpRequest, pipeline: str, ref: str) -> WebhookOut:
    """Remove a webhook of a pipeline."""
    return _remove(request, actions.webhook_of(_pipeline(request, pipeline), ref))


# --- deliveries and events --------------------------------------------------------------------------------------------


@router.get("/apps/{app}/webhook-deliveries", response=DELIVERIES)
def deliveries_of_app(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[DeliveryOut]]:
    """What an app's webhooks were told, or are to be; by status with `?eq[status]=`."""
    return _deliveries(request, response, _app(request, app))


@router.get("/apps/{app}/webhook-deliveries/{ref}", response=DeliveryOut)
def delivery_of_app(request: HttpRequest, app: str, ref: UUID) -> DeliveryOut:
    """One delivery to a webhook of an app."""
    return _delivery(_app(request, app), ref)


@router.get("/apps/{app}/webhook-events", response=EVENTS)
def events_of_app(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[EventOut]]:
    """What happened to an app that its webhooks were to be told of."""
    return _events(request, response, _app(request, app))


@router.get("/apps/{app}/webhook-events/{ref}", response=EventOut)
def event_of_app(request: HttpRequest, app: str, ref: UUID) -> EventOut:
    """One of these events."""
    return _event(_app(request, app), ref)


@router.get("/pipelines/{pipeline}/webhook-deliveries", response=DELIVERIES)
def deliveries_of_pipeline(
    request: HttpRequest, response: HttpResponse, pipeline: str
) -> Status[list[DeliveryOut]]:
    """What a pipeline's webhooks were told, or are to be."""
    return _deliveries(request, response, _pipeline(request, pipeline))


@router.get("/pipelines/{pipeline}/webhook-deliveries/{ref}", response=DeliveryOut)
def delivery_of_pipeline(request: HttpRequest, pipeline: str, ref: UUID) -> DeliveryOut:
    """One delivery to a webhook of a pipeline."""
    return _delivery(_pipeline(request, pipeline), ref)


@router.get("/pipelines/{pipeline}/webhook-events", response=EVENTS)
def events_of_pipeline(request: HttpRequest, response: HttpResponse, pipeline: str) -> Status[list[EventOut]]:
    """What happened to a pipeline that its webhooks were to be told of."""
    return _events(request, response, _pipeline(request, pipeline))


@router.get("/pipelines/{pipeline}/webhook-events/{ref}", response=EventOut)
def event_of_pipeline(request: HttpRequest, pipeline: str, ref: UUID) -> EventOut:
    """One of these events."""
    return _event(_pipeline(request, pipeline), ref)


# --- for both ---------------------------------------------------------------------------------------------------------


def _app(request: HttpRequest, ref: str) -> App:
    return app_access.app_for(asker(request), ref, to=app_access.OPERATE)


def _pipeline(request: HttpRequest, ref: str) -> Pipeline:
    return pipeline_access.pipeline_for(asker(request), ref, to=pipeline_access.MANAGE)


def _list(request: HttpRequest, response: HttpResponse, owner: Owner) -> Status[list[WebhookOut]]:
    rows = actions.webhooks_of(owner).select_related("app", "pipeline")
    return ranged(request, response, rows, WebhookOut.of, by="created_at", fields=["id"])


def _add(request: HttpRequest, response: HttpResponse, owner: Owner, body: WebhookIn) -> Status[WebhookOut]:
    hook = actions.add_webhook(owner, **body.dict(), by=asker(request))
    response.headers["Heroku-Webhook-Secret"] = hook.secret
    return Status(201, WebhookOut.of(hook))


def _change(request: HttpRequest, hook: Webhook, body: WebhookChange) -> WebhookOut:
    changes = body.dict(exclude_unset=True)
    if "authorization" in changes:  # null takes it away
        changes["authorization"] = changes["authorization"] or ""
    return WebhookOut.of(actions.change_webhook(hook, **changes, by=asker(request)))


def _remove(request: HttpRequest, hook: Webhook) -> WebhookOut:
    answer = WebhookOut.of(hook)
    actions.remove_webhook(hook, by=asker(request))
    return answer


def _deliveries(request: HttpRequest, response: HttpResponse, owner: Owner) -> Status[list[DeliveryOut]]:
    rows = actions.deliveries_of(owner)
    if word := request.GET.get("eq[status]"):
        rows = rows.of_word(word)
    return ranged(request, response, rows, DeliveryOut.of, by="seq", fields=["id"])


def _delivery(owner: Owner, ref: UUID) -> DeliveryOut:
    return DeliveryOut.of(_one(actions.deliveries_of(owner).filter(pk=ref).first, "delivery"))


def _events(request: HttpRequest, response: HttpResponse, owner: Owner) -> Status[list[EventOut]]:
    return ranged(request, response, actions.news_of(owner), EventOut.of, by="seq")


def _event(owner: Owner, ref: UUID) -> EventOut:
    return EventOut.of(_one(actions.news_of(owner).filter(ref=ref).first, "event"))


def _one(find: Callable[[], Any], what: str) -> Any:
    row = find()
    if row is None:
        raise NotFound(f"Couldn't find that {what}.", resource=f"webhook_{what}")
    return row


def _named(row: Owner | None) -> Named | None:
    return Named(id=row.pk, name=row.name) if row else None
