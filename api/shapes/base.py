"""What the shapes of all resources are made of: the typed base, moments, and things told by their id."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, PlainSerializer

from apps.models import App
from core import names

SINCE = datetime(2026, 1, 1, tzinfo=UTC)  # when what has no row came to be


class Schema(BaseModel):
    """A typed answer. Not ninja's own base: that looks each field up as if a model's row stood behind it, which doubles
    the time of a long list."""


def _z(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


Time = Annotated[datetime, PlainSerializer(_z, return_type=str)]


@lru_cache(maxsize=1000)
def _fixed_id(kind: str, name: str) -> UUID:
    return names.fixed(kind, name)


class Ref(Schema):
    """A thing by its id."""

    id: UUID


def ref(id: UUID | None) -> Ref | None:
    """The thing with this id, if there is one."""
    return Ref(id=id) if id else None


class Named(Schema):
    """A thing by id and name."""

    id: UUID
    name: str

    @classmethod
    def fixed(cls, kind: str, name: str) -> Self:
        """A thing of ours that has no row; its id is always the same."""
        return cls(id=_fixed_id(kind, name), name=name)


class AppRef(Schema):
    """An app by id and name."""

    id: UUID
    name: str

    @classmethod
    def of(cls, app: App) -> Self:
        return cls(id=app.pk, name=app.name)
