"""The apps and pipelines that a person wants at hand."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.models import Favorite, User
from apps import access as app_access
from core.errors import Conflict, NotFound
from pipelines import access

MOST = 500  # of one person: no list without an end
Kind = Favorite.Kind


@dataclass(frozen=True)
class Favored:
    """A favorite that its person may still view, by what it is called now."""

    id: UUID
    kind: str
    thing: UUID
    name: str
    created_at: datetime


def favorites(user: User, kind: str = "") -> list[Favored]:
    """Those of `user`, of one kind if it is given, oldest first. What they may not view (any more) is left out."""
    rows = list(user.favorites.filter(**{"kind": kind} if kind else {}))
    names = _names(user, {row.thing for row in rows})
    return [
        Favored(row.pk, row.kind, row.thing, names[row.thing], row.created_at)
        for row in rows
        if row.thing in names
    ]


@transaction.atomic
def favor(kind: str, ref: str, *, by: User) -> Favored:
    """Make the app or pipeline with this name or id a favorite of `by`. `NotFound` when it is none of theirs to view,
    `Conflict` when it is one already."""
    pipeline_or_app = access.pipeline_for(by, ref) if kind == Kind.PIPELINE else app_access.app_for(by, ref)
    if by.favorites.count() >= MOST:
        raise Conflict(f"You have {MOST} favorites. Remove one that you do not need any more.")
    try:
        with transaction.atomic():
            row = by.favorites.create(kind=kind, thing=pipeline_or_app.pk)
    except IntegrityError as error:
        raise Conflict(f"{pipeline_or_app.name} is a favorite already.") from error
    return Favored(row.pk, row.kind, row.thing, pipeline_or_app.name, row.created_at)


def unfavor(id: UUID, *, by: User) -> Favored:
    """Take one of `by`'s favorites away; `NotFound` when it is none."""
    found = next((favored for favored in favorites(by) if favored.id == id), None)
    if found is None or not by.favorites.filter(pk=id).delete()[0]:
        raise NotFound("Couldn't find that favorite.", resource="favorite")
    return found


def _names(user: User, things: set[UUID]) -> dict[UUID, str]:
    """What those of `things` are called that `user` may view."""
    apps = app_access.apps_for(user).filter(pk__in=things).values_list("pk", "name")
    pipelines = access.pipelines_for(user).filter(pk__in=things).values_list("pk", "name")
    return {**dict(apps), **dict(pipelines)}
