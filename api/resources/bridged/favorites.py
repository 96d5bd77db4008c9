"""Favorites, which the Heroku CLI keeps on a host of their own."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status

from api.asker import asker
from api.resources.bridged.hosts import PARTICLEBOARD
from api.shapes.base import Time
from core.errors import NotFound, Refusal
from pipelines import favorites as favorites_of

router = Router(tags=["Fixed hosts"])


class FavoriteIn(Schema):
    """What to make a favorite, by name or id."""

    type: str
    resource_id: str


class FavoriteOut(Schema):
    """A favorite."""

    id: UUID
    type: str
    resource_id: UUID
    resource_name: str
    created_at: Time

    @classmethod
    def of(cls, favored: favorites_of.Favored) -> "FavoriteOut":
        return cls(
            id=favored.id, type=favored.kind, resource_id=favored.thing, resource_name=favored.name,
            created_at=favored.created_at,
        )  # fmt: skip


@router.get(f"/{PARTICLEBOARD}/favorites", response=list[FavoriteOut])
def favorites(request: HttpRequest, type: str = "") -> list[FavoriteOut]:
    """The asker's favorites, of one type (`app`, `pipeline`) if it is given."""
    return [
        FavoriteOut.of(row) for row in favorites_of.favorites(asker(request), _kind(type) if type else "")
    ]


@router.post(f"/{PARTICLEBOARD}/favorites", response={201: FavoriteOut})
def favor(request: HttpRequest, body: FavoriteIn) -> Status[FavoriteOut] | HttpResponse:
    """Make an app or a pipeline a favorite."""
    try:
        made = favorites_of.favor(_kind(body.type), body.resource_id, by=asker(request))
    except NotFound as error:  # only an answer without JSON makes the CLI say so: else it trips over itself
        return HttpResponse(error.message, status=404, content_type="text/plain")
    return Status(201, FavoriteOut.of(made))


@router.delete(f"/{PARTICLEBOARD}/favorites/{{ref}}", response=FavoriteOut)
def unfavor(request: HttpRequest, ref: UUID) -> FavoriteOut:
    """Take a favorite away."""
    return FavoriteOut.of(favorites_of.unfavor(ref, by=asker(request)))


def _kind(text: str) -> str:
    if text not in favorites_of.Kind.values:
        raise Refusal(f"A favorite is one of: {', '.join(favorites_of.Kind.values)}.")
    return text
