"""Builds and the sources they are made from."""

from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field

from accounts.models import User
from api.asker import asker
from api.http import ranged
from api.shapes.releases import BuildOut, SourceOut, SourceUrls
from apps import access
from apps import actions as app_actions
from apps.models import App
from core.errors import NotFound, Refusal
from releases import actions, doors, sources
from releases.models import Build, Source

router = Router(tags=["Builds"])
IMAGE_URL = "docker://"


class BuildpackIn(Schema):
    """A buildpack by address or name."""

    url: str | None = None
    name: str | None = None


class SourceBlobIn(Schema):
    """Where the source is, and what the caller calls it."""

    url: str
    version: str | None = None
    checksum: str | None = None
    version_description: str | None = None


class GitIn(Schema):
    """A branch, tag or commit of the app's own repository, or of the public one at `repository`, whose HEAD is meant
    without a `ref`. Heroku's API has no such thing."""

    ref: str = Field("", max_length=1000)
    repository: str | None = Field(None, max_length=2000)


class BuildIn(Schema):
    """A build to make: of an archive, or (an extension of Slipway's) of what git has."""

    source_blob: SourceBlobIn | None = None
    git: GitIn | None = None
    buildpacks: list[BuildpackIn] | None = None


@router.get("/apps/{app}/builds", response={200: list[BuildOut], 206: list[BuildOut]})
def index(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[BuildOut]]:
    """The app's builds."""
    by = asker(request)
    rows = access.app_for(by, app).builds.select_related("source", "by")
    return ranged(
        request,
        response,
        rows,
        lambda row: BuildOut.of(row, by),
        by="created_at",
        fields=["id", "started_at"],
    )


@router.post("/apps/{app}/builds", response={201: BuildOut})
def create(request: HttpRequest, app: str, body: BuildIn) -> Status[BuildOut]:
    """Build an archive or what `git` has and release it; a URL like `docker://ghcr.io/team/app:1.2` releases an image."""
    by = asker(request)
    found = access.app_for(by, app, to=access.DEPLOY)
    if (body.source_blob is None) == (body.git is None):
        raise Refusal("Say what to build: either source_blob or git.")
    doors.demand_open(found, by=by)  # before anything is fetched
    if body.git:
        return Status(201, BuildOut.of(_of_git(found, body.git, body.buildpacks, by), by))
    blob = body.source_blob
    assert blob is not None
    if blob.url.startswith(IMAGE_URL):
        return Status(
            201,
            BuildOut.of(actions.create_build_of_image(found, blob.url.removeprefix(IMAGE_URL), by=by), by),
        )
    source = sources.fetch(blob.url, user=by)
    with transaction.atomic():
        source = sources.adopt(source, found, version=blob.version or "", checksum=blob.checksum or "")
        Source.objects.filter(pk=source.pk).update(message=(blob.version_description or "")[:500])
        _choose(found, body.buildpacks, by)
        build = actions.create_build(found, source, by=by)
    return Status(201, BuildOut.of(build, by))


@router.get("/apps/{app}/builds/{ref}", response=BuildOut)
def info(request: HttpRequest, app: str, ref: UUID) -> BuildOut:
    """One build."""
    by = asker(request)
    return BuildOut.of(build_of(access.app_for(by, app), ref), by)


@router.delete("/apps/{app}/builds/{ref}", response=BuildOut)
def cancel(request: HttpRequest, app: str, ref: UUID) -> BuildOut:
    """Stop a build."""
    by = asker(request)
    build = build_of(access.app_for(by, app, to=access.DEPLOY), ref)
    actions.cancel_build(build, by=by)
    return BuildOut.of(build, by)


@router.post("/sources", response={201: SourceOut})
def create_source(request: HttpRequest) -> Status[SourceOut]:
    """A place to put an archive."""
    _, put_url, get_url = sources.create_source(asker(request))
    return Status(201, SourceOut(source_blob=SourceUrls(put_url=put_url, get_url=get_url)))


@router.post("/apps/{app}/sources", response={201: SourceOut})
def create_app_source(request: HttpRequest, app: str) -> Status[SourceOut]:
    """A place to put an archive for an app."""
    access.app_for(asker(request), app, to=access.DEPLOY)
    return create_source(request)


def _of_git(app: App, git: GitIn, buildpacks: list[BuildpackIn] | None, by: User) -> Build:
    with transaction.atomic():
        _choose(app, buildpacks, by)
        if git.repository is not None:
            return actions.create_build_from_git(app, url=git.repository, ref=git.ref, by=by)
        return actions.create_build_of(app, git.ref, by=by)


def _choose(app: App, buildpacks: list[BuildpackIn] | None, by: User) -> None:
    """The buildpacks of this build and those after it, if any are given."""
    if buildpacks is not None:
        app_actions.set_buildpacks(app, [one.url or one.name or "" for one in buildpacks], by=by)


def build_of(app: App, ref: UUID) -> Build:
    """The app's build with this id."""
    build = Build.objects.filter(app=app, pk=ref).select_related("app", "source", "by").first()
    if build is None:
        raise NotFound("Couldn't find that build.", resource="build")
    return build
