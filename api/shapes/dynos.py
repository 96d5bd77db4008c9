"""Formations and dynos."""

from typing import Self
from uuid import UUID, uuid5

from api.shapes.base import AppRef, Named, Schema, Time
from api.shapes.releases import ReleaseRef
from apps.models import App, Dyno, Formation
from core.names import NAMESPACE
from core.names import size as size_name
from releases.models import Release


class SizeRef(Named):
    """A dyno size by id and name."""

    @classmethod
    def of(cls, size: str) -> Self:
        return cls(id=Named.fixed("size", size).id, name=size_name(size))


class FormationOut(Schema):
    """A process type, and how many dynos of it should run."""

    id: UUID
    app: AppRef
    type: str
    command: str
    quantity: int
    size: str
    dyno_size: SizeRef
    created_at: Time
    updated_at: Time

    @classmethod
    def of_release_phase(cls, app: App, command: str) -> Self:
        """The release phase: one of the process types, but never scaled."""
        return cls(
            id=uuid5(NAMESPACE, f"formation/{app.pk}/release"),
            app=AppRef.of(app),
            type="release",
            command=command,
            quantity=0,
            size=size_name("standard-1x"),
            dyno_size=SizeRef.of("standard-1x"),
            created_at=app.created_at,
            updated_at=app.updated_at,
        )

    @classmethod
    def of(cls, row: Formation, commands: dict[str, str]) -> Self:
        return cls(
            id=row.pk,
            app=AppRef.of(row.app),
            type=row.type,
            command=commands.get(row.type, ""),
            quantity=row.quantity,
            size=size_name(row.size),
            dyno_size=SizeRef.of(row.size),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class DynoOut(Schema):
    """A dyno."""

    id: UUID
    app: AppRef
    name: str
    type: str
    command: str
    size: str
    state: str
    release: ReleaseRef
    attach_url: str | None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, dyno: Dyno, release: Release | None) -> Self:
        return cls(
            id=dyno.pk,
            app=AppRef.of(dyno.app),
            name=dyno.name,
            type=dyno.type,
            command=dyno.command,
            size=size_name(dyno.size),
            state=dyno.state,
            created_at=dyno.created_at,
            updated_at=dyno.state_at,
            release=ReleaseRef(id=release.pk if release else UUID(int=0), version=dyno.release_version),
        )
