"""The outbox: news of a change, written in the transaction of that change, with a delivery to each webhook that wants it.

What makes news is said here and nowhere else; `core.changes` brings every change here. Nothing is sent from here: the
conductor delivers, and finds after any interruption what is still to be delivered.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Q

from addons.models import Addon, Attachment
from apps.models import App, Certificate, Collaborator, Domain, Dyno
from core import live, names
from core.changes import MOVED_ON, Change
from hooks import payloads
from hooks.models import Delivery, News, Webhook
from pipelines.models import Coupling, Pipeline, Promotion
from releases.models import Build, Release

CREATE, UPDATE, DESTROY = "create", "update", "destroy"
OF_APPS = {
    "created": CREATE,
    "renamed": UPDATE,
    "transferred": UPDATE,
    "turned maintenance on for": UPDATE,
    "turned maintenance off for": UPDATE,
    "suspended": UPDATE,
    "reinstated": UPDATE,
    "destroyed": DESTROY,
}
COUPLED = {"added": CREATE, "moved": UPDATE, "removed": DESTROY}
SHARED = {"shared": UPDATE, "stopped sharing": DESTROY}
BEGINNINGS = ("created", "added", "attached", "provisioned", "appeared")
ENDS = ("destroyed", "removed", "detached", "deprovisioned", "went")
OTHERS: dict[type, str] = {
    Domain: "api:domain",
    Certificate: "api:sni-endpoint",
    Addon: "api:addon",
    Attachment: "api:addon-attachment",
}


@dataclass(frozen=True)
class Item:
    """What a change means: something happened to the row that `find` finds, if it is there."""

    include: str
    action: str
    find: Callable[[], Any]
    previous: dict[str, Any] = field(default_factory=dict)


def put(change: Change) -> None:
    """Write the news that a change makes, if a webhook wants it. Called in the transaction of the change."""
    items = list(_items(change))
    if not items:
        return
    hooks = list(_hooks(change))
    for item in items:
        wanting = [hook for hook in hooks if item.include in hook.include]
        if wanting and (row := item.find()) is not None:
            _write(change, item, row, wanting)


def _hooks(change: Change) -> Iterator[Webhook]:
    which = Q(pk__in=[])
    if change.app_id:
        which |= Q(app=change.app_id)
    if change.pipeline_id:
        which |= Q(pipeline=change.pipeline_id)
    return iter(Webhook.objects.filter(which)) if which else iter(())


def _write(change: Change, item: Item, row: Any, hooks: list[Webhook]) -> None:
    with transaction.atomic():
        news = News.objects.create(
            app_id=change.app_id,
            pipeline_id=change.pipeline_id,
            include=item.include,
            action=item.action,
            actor=payloads.person(change.by),
            data=payloads.data(row),
            previous_data=item.previous,
        )
        Delivery.objects.bulk_create(Delivery(webhook=hook, news=news, level=hook.level) for hook in hooks)
    live.tell(live.DELIVERIES)


# --- what makes news --------------------------------------------------------------------------------------------------


def _items(change: Change) -> Iterator[Item]:
    thing = change.thing
    if isinstance(thing, App):
        yield from _of_app(thing, change)
    elif isinstance(thing, Build):
        if change.verb == MOVED_ON:
            yield Item("api:build", UPDATE, lambda: thing, {"status": "pending"})
    elif isinstance(thing, Release):
        if change.verb == "released":
            yield Item("api:release", CREATE, lambda: thing)
        elif change.verb in (MOVED_ON, "gave up"):
            yield Item("api:release", UPDATE, lambda: Release.objects.get(pk=thing.pk), {"status": "pending"})
    elif isinstance(thing, Dyno):
        yield from _of_dyno(thing, change)
    elif isinstance(thing, (Pipeline, Promotion)):
        yield from _of_pipeline(thing, change)
    elif type(thing) in OTHERS:
        yield Item(OTHERS[type(thing)], _action(change.verb), lambda: thing)


def _of_app(app: App, change: Change) -> Iterator[Item]:
    verb, details = change.verb, change.details
    if verb in COUPLED and change.pipeline_id:
        previous = {"stage_name": details["before"]} if "before" in details else {}
        coupling = Coupling.objects.filter(app=app).select_related("app", "pipeline", "stage")
        yield Item("api:pipeline-coupling", COUPLED[verb], coupling.first, previous)
    elif verb in OF_APPS:
        yield Item("api:app", OF_APPS[verb], lambda: app, _before(verb, details))
    elif verb == "started a build of":
        yield Item("api:build", CREATE, Build.objects.filter(pk=details["build"]).first)
    elif verb in SHARED:
        rows = Collaborator.objects.filter(app=app, user__email=details["with_"])
        previous = {"permissions": [{"name": right} for right in details.get("before") or ()]}
        action = CREATE if verb == "shared" and not details.get("before") else SHARED[verb]
        yield Item("api:collaborator", action, rows.first, previous if action == UPDATE else {})
    elif verb == "scaled":
        before, after = details["before"], details["after"]
        for type in (type for type in after if after[type] != before.get(type)):
            yield Item(
                "api:formation", UPDATE, app.formation.filter(type=type).first, _formation(before.get(type))
            )
    elif verb == "promoted":
        promotion = Promotion.objects.filter(pk=details["promotion"])
        yield Item("api:pipeline-promotion", CREATE, promotion.first)


def _before(verb: str, details: dict[str, Any]) -> dict[str, Any]:
    if verb == "renamed":
        return {"name": details["before"]}
    if verb == "transferred":
        return {"owner": {"name": details["before"]}}
    if verb.startswith("turned maintenance"):
        return {"maintenance": "off" in verb}
    return {}


def _formation(text: str | None) -> dict[str, Any]:
    """What `web=2:standard-1x` says."""
    quantity, _, size = (text or "").partition("=")[2].partition(":")
    return {"quantity": int(quantity), "size": names.size(size)} if quantity.isdecimal() else {}


def _of_dyno(dyno: Dyno, change: Change) -> Iterator[Item]:
    if change.verb == "ran":
        yield Item("api:dyno", CREATE, lambda: dyno)
        yield Item("dyno", CREATE, lambda: dyno)
    else:
        yield Item("dyno", _action(change.verb), lambda: dyno, change.details)


def _of_pipeline(thing: Pipeline | Promotion, change: Change) -> Iterator[Item]:
    if isinstance(thing, Promotion):
        yield Item("api:pipeline-promotion", UPDATE, lambda: thing, {"status": "pending"})
    elif change.verb in OF_APPS:
        yield Item("api:pipeline", OF_APPS[change.verb], lambda: thing, _before(change.verb, change.details))


def _action(verb: str) -> str:
    if verb in BEGINNINGS:
        return CREATE
    return DESTROY if verb in ENDS else UPDATE
