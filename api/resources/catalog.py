"""What is the same for everybody: stacks, regions, dyno sizes."""

from django.http import HttpRequest
from ninja import Router, Schema

from api.shapes import SINCE, Named, RegionOut, StackOut
from core.errors import NotFound
from engine.spec import MB, SIZES

router = Router(tags=["Catalog"])


class SizeOut(Schema):
    """A dyno size."""

    id: str
    name: str
    memory: float  # GB
    dyno_units: int = 1


def _stack() -> StackOut:
    named = Named.fixed("stack", "slipway-24")
    return StackOut(id=named.id, name=named.name, created_at=SINCE, updated_at=SINCE)


def _region() -> RegionOut:
    named = Named.fixed("region", "local")
    provider = {"name": "self-hosted", "region": "local"}
    return RegionOut(id=named.id, name=named.name, provider=provider, created_at=SINCE, updated_at=SINCE)


@router.get("/stacks", response=list[StackOut])
def stacks(request: HttpRequest) -> list[StackOut]:
    """The stacks there are."""
    return [_stack()]


@router.get("/stacks/{ref}", response=StackOut)
def stack(request: HttpRequest, ref: str) -> StackOut:
    """One stack."""
    if ref not in (_stack().name, str(_stack().id)):
        raise NotFound("Couldn't find that stack.", resource="stack")
    return _stack()


@router.get("/regions", response=list[RegionOut])
def regions(request: HttpRequest) -> list[RegionOut]:
    """The regions there are: this one."""
    return [_region()]


@router.get("/dyno-sizes", response=list[SizeOut])
def sizes(request: HttpRequest) -> list[SizeOut]:
    """The dyno sizes there are."""
    return [
        SizeOut(id=str(Named.fixed("size", name).id), name=name, memory=round(size.memory / MB / 1024, 2))
        for name, size in SIZES.items()
    ]
