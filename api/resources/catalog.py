"""What is the same for everybody: stacks, regions, dyno sizes."""

import platform
import re
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema

from api.asker import asker
from api.shapes.base import SINCE, Named
from api.shapes.catalog import RegionOut, StackOut
from apps.access import app_for
from apps.stacks import available
from core.errors import NotFound, Refusal
from core.names import size as size_name
from engine.spec import MB, SIZES
from engine.stacks import SLUGS

router = Router(tags=["Catalog"])
HEROKUS = ("us", "eu")
HEROKU_STACKS = re.compile(r"heroku-\d\d|cedar(-\d\d)?")


class SizeOut(Schema):
    """A dyno size."""

    id: UUID
    name: str
    memory: float  # GB
    compute: int  # shares
    architecture: str = "x86_64"
    cost: None = None
    dedicated: bool = False
    dyno_units: int = 1
    precise_dyno_units: float = 1
    generation: Named
    private_space_only: bool = False


def _stack(name: str) -> StackOut:
    named = Named.fixed("stack", name)
    return StackOut(id=named.id, name=named.name, default=name == SLUGS, created_at=SINCE, updated_at=SINCE)


def _region() -> RegionOut:
    named = Named.fixed("region", "local")
    provider = {"name": "self-hosted", "region": "local"}
    return RegionOut(id=named.id, name=named.name, provider=provider, created_at=SINCE, updated_at=SINCE)


@router.get("/stacks", response=list[StackOut])
def stacks(request: HttpRequest) -> list[StackOut]:
    """The stacks there are."""
    return [_stack(name) for name in available()]


@router.get("/apps/{app}/available-stacks", response=list[StackOut])
def stacks_for(request: HttpRequest, app: str) -> list[StackOut]:
    """The stacks that an app can have: all."""
    app_for(asker(request), app)
    return stacks(request)


def stack_name(ref: str) -> str:
    """The name of the stack with this name or id. Heroku's own (`heroku-24`, `cedar`), which scripts for it name, mean the
    one here that slugs run on."""
    if HEROKU_STACKS.fullmatch(ref):
        return SLUGS
    return next((name for name in available() if ref == str(Named.fixed("stack", name).id)), ref)


@router.get("/stacks/{ref}", response=StackOut)
def stack(request: HttpRequest, ref: str) -> StackOut:
    """One stack."""
    for found in stacks(request):
        if ref in (found.name, str(found.id)):
            return found
    raise NotFound("Couldn't find that stack.", resource="stack")


@router.get("/regions", response=list[RegionOut])
def regions(request: HttpRequest) -> list[RegionOut]:
    """The regions there are: this one."""
    return [_region()]


def demand_region(ref: str) -> None:
    """`Refusal` when there is no region with this name or id. `us` and `eu`, which scripts for Heroku name, mean the one
    that there is."""
    found = _region()
    if ref.lower() not in (found.name, str(found.id), *HEROKUS):
        raise Refusal(f"There is no region {ref[:40]}. There is {found.name}.")


@router.get("/regions/{ref}", response=RegionOut)
def region(request: HttpRequest, ref: str) -> RegionOut:
    """One region."""
    found = _region()
    if ref not in (found.name, str(found.id)):
        raise NotFound("Couldn't find that region.", resource="region")
    return found


@router.get("/dyno-sizes", response=list[SizeOut])
def sizes(request: HttpRequest) -> list[SizeOut]:
    """The dyno sizes there are."""
    return [
        SizeOut(
            id=Named.fixed("size", name).id,
            name=size_name(name),
            memory=round(size.memory / MB / 1024, 2),
            compute=max(1, size.cpu_shares // 1024),
            architecture=platform.machine(),
            generation=Named.fixed("generation", "cedar"),
        )
        for name, size in SIZES.items()
    ]


@router.get("/apps/{app}/available-dyno-sizes", response=list[SizeOut])
def sizes_for(request: HttpRequest, app: str) -> list[SizeOut]:
    """The dyno sizes that an app can have: all."""
    app_for(asker(request), app)
    return sizes(request)


@router.get("/dyno-sizes/{ref}", response=SizeOut)
def dyno_size(request: HttpRequest, ref: str) -> SizeOut:
    """One dyno size, by name or id."""
    for found in sizes(request):
        if ref.lower() in (found.name.lower(), str(found.id)):
            return found
    raise NotFound(f"There is no size {ref[:40]}. Sizes: {', '.join(SIZES)}.", resource="dyno_size")
