"""Apps, and where to read their logs."""

from typing import Self
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from api.shapes.base import Named, Schema, Time
from api.shapes.people import Person
from apps.models import App
from releases.models import Release

CURRENT = (
    Release.objects.filter(current=True).select_related("slug").only("app_id", "finished_at", "slug__bytes")
)
# What else of an app is told: the rest of its columns is costly to read.
TOLD = (
    "name",
    "stack",
    "maintenance",
    "acm",
    "locked",
    "created_at",
    "updated_at",
    "user__email",
    "team__name",
)


def with_current(apps: "QuerySet[App]") -> "QuerySet[App]":
    """Have `apps` bring along what `AppOut.of` tells of them."""
    serving = Prefetch("releases", queryset=CURRENT, to_attr="serving")
    return apps.select_related("user", "team").only(*TOLD).prefetch_related(serving)


class AppOut(Schema):
    """An app."""

    id: UUID
    name: str
    owner: Person
    team: Named | None
    organization: Named | None
    region: Named
    stack: Named
    build_stack: Named
    generation: Named
    git_url: str
    web_url: str
    maintenance: bool
    created_at: Time
    updated_at: Time
    released_at: Time | None
    archived_at: Time | None = None
    acm: bool = False
    internal_routing: bool | None = None
    buildpack_provided_description: str | None = None
    repo_size: int | None = None
    slug_size: int | None = None
    space: None = None
    locked: bool = False
    create_status: str = "complete"

    @classmethod
    def of(cls, app: App) -> Self:
        """`app`; in lists its current release comes along by `with_current`, or each would cost a query."""
        serving = getattr(app, "serving", None)
        if serving is None:
            serving = list(CURRENT.filter(app=app))
        current = serving[0] if serving else None
        team = Named(id=app.team.pk, name=app.team.name) if app.team else None
        owner = (
            Person(id=app.team.pk, email=f"{app.team.name}@herokumanager.com")
            if app.team
            else Person.of(app.user)
        )
        # By the end of this address the CLI knows that a team owns the app.
        slug = current.slug if current else None
        return cls(
            id=app.pk,
            name=app.name,
            owner=owner,
            team=team,
            organization=team,
            region=Named.fixed("region", "local"),
            stack=Named.fixed("stack", app.stack),
            build_stack=Named.fixed("stack", app.stack),
            generation=Named.fixed("generation", "cedar"),
            git_url=app.git_url,
            web_url=app.web_url,
            maintenance=app.maintenance,
            acm=app.acm,
            locked=app.locked,
            created_at=app.created_at,
            updated_at=app.updated_at,
            released_at=current.finished_at if current else None,
            slug_size=slug.bytes if slug else None,
        )


class TeamAppOut(AppOut):
    """An app, and whether the asker has joined it: all who see it have."""

    joined: bool = True


class LogSessionOut(Schema):
    """Where to read an app's log, once."""

    id: UUID
    logplex_url: str
    created_at: Time
    updated_at: Time
