"""The one door to add-ons: whoever may view an app sees what it owns and what is attached to it; what an add-on is, and
that it goes, is decided by rights in the app or pipeline that owns it."""

from typing import Any

from django.apps import apps as registry
from django.db.models import Q

from accounts.access import DEPLOY, MANAGE, OPERATE, VIEW, demand, owned_by, rights_as_owner
from accounts.models import User
from addons.models import Addon, AddonQuerySet, Attachment, Plan
from apps import access as app_access
from apps.models import App
from core.errors import NotFound, Refusal

__all__ = ["DEPLOY", "MANAGE", "OPERATE", "VIEW"]


def right_to_have(plan: Plan) -> str:
    """What it takes to order an add-on of the plan, to change to it, and to give it up."""
    return OPERATE if plan.price_cents else DEPLOY


def addons_for(user: User) -> AddonQuerySet:
    """Every add-on that `user` may view."""
    apps = app_access.apps_for(user).values("pk")
    pipelines = registry.get_model("pipelines", "Pipeline").objects.filter(owned_by(user)).values("pk")
    seen = Q(app__in=apps) | Q(pipeline__in=pipelines) | Q(pk__in=_attached_to(apps))
    return Addon.objects.filter(seen).whole()


def addons_of(app: App) -> AddonQuerySet:
    """The add-ons that an app owns or uses."""
    return Addon.objects.filter(Q(app=app) | Q(pk__in=_attached_to([app.pk]))).whole()


def rights_in(user: User, addon: Addon) -> frozenset[str]:
    """What `user` may do with the add-on: rights in its owner, and to view it where it is attached."""
    if addon.app is not None:
        rights = app_access.rights_at_hand(user, addon.app)
    else:
        rights = rights_as_owner(user, addon.owner)
    if VIEW in rights or not addons_for(user).filter(pk=addon.pk).exists():
        return rights
    return rights | {VIEW}


def addon_for(user: User, ref: str, *, to: str = VIEW) -> Addon:
    """The add-on of that name or id, for `user` to `to`. Foreign and absent are the same `NotFound`."""
    return demand_right(user, one(named(addons_for(user), ref), ref), to)


def demand_right(user: User, addon: Addon, to: str) -> Addon:
    """The add-on, if `user` may `to` with it; `Forbidden` otherwise, `NotFound` for who may not view it."""
    demand(rights_in(user, addon), to, what="add-on", resource="add_on", name=addon.name)
    return addon


def find(user: User, ref: str, *, app: App | None = None, service: str = "") -> list[Addon]:
    """The add-ons that `ref` may mean to `user`: a name, an id, a service, an attachment's name or one of its config
    vars; of one app where that is known. `NotFound` when it means none."""
    rows = addons_of(app) if app else addons_for(user)
    rows = rows.prefetch_related("attachments__app")
    if service:
        rows = rows.filter(plan__service__name=service)
    exact = [row for row in rows if ref in (row.name, str(row.pk))]
    found = exact or [row for row in rows if ref == row.service.name or _is_attached_as(row, ref, app)]
    if not found:
        raise NotFound(f"Couldn't find that add-on: {ref[:100]}.", resource="add_on")
    return found


def one(rows: Any, ref: str) -> Addon:
    """The only one of `rows`; `Refusal` when there are several, `NotFound` when there is none."""
    found = list(rows[:20])
    if not found:
        raise NotFound(f"Couldn't find that add-on: {ref[:100]}.", resource="add_on")
    if len(found) > 1:
        names = ", ".join(row.name for row in found)
        raise Refusal(f"That name may mean any of {names}: give one of these.", id="multiple_matches")
    first: Addon = found[0]
    return first


def named(rows: AddonQuerySet, ref: str) -> list[Addon]:
    """Those of `rows` with this name or id."""
    return [
        row for row in rows.filter(Q(name=ref) | Q(pk__in=_uuids(ref))).prefetch_related("attachments__app")
    ]


def attachments_for(user: User) -> Any:
    """Every attachment to an app that `user` may view."""
    return whole(Attachment.objects.filter(app__in=app_access.apps_for(user)))


def attachments_of(app: App) -> Any:
    """What is attached to an app."""
    return whole(Attachment.objects.filter(app=app))


def whole(rows: Any) -> Any:
    """With what a line about each attachment says."""
    return rows.select_related("app", "addon__app", "addon__pipeline", "addon__plan__service")


def find_attachments(user: User, ref: str, *, app: App | None = None, service: str = "") -> list[Attachment]:
    """The attachments that `ref` may mean: a name, an id, a config var, or the add-on's name. `NotFound` when none."""
    rows = attachments_of(app) if app else attachments_for(user)
    if service:
        rows = rows.filter(addon__plan__service__name=service)
    exact = [row for row in rows if ref in (row.name, str(row.pk))]
    found = exact or [row for row in rows if ref == row.addon.name or ref in row.keys]
    if not found:
        raise NotFound(f"Couldn't find that add-on attachment: {ref[:100]}.", resource="add_on attachment")
    return found


def _is_attached_as(addon: Addon, ref: str, app: App | None) -> bool:
    rows = [row for row in addon.attachments.all() if app is None or row.app_id == app.pk]
    return any(ref == row.name or ref in _keys(addon, row) for row in rows)


def _keys(addon: Addon, row: Attachment) -> list[str]:
    row.addon = addon  # with its service, so that the keys ask for nothing
    return row.keys


def _attached_to(apps: Any) -> Any:
    return Attachment.objects.filter(app__in=apps).values("addon")


def _uuids(ref: str) -> list[str]:
    from uuid import UUID

    try:
        return [str(UUID(ref))]
    except ValueError:
        return []
