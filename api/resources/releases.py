"""Releases and slugs."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field

from accounts.models import User
from api.asker import asker
from api.http import ranged
from api.resources.catalog import stack_name
from api.shapes.releases import ReleaseOut, SlugBlob, SlugOut
from apps import access
from apps.models import App
from core.errors import NotFound, Refusal
from core.names import as_id
from releases import actions, doors, slug_uploads
from releases.models import Release, Slug

router = Router(tags=["Releases"])


class ReleaseIn(Schema):
    """A release to go back to, or a slug to release."""

    release: str | None = None
    slug: str | None = None
    description: str = ""


class SlugIn(Schema):
    """A slug that is made elsewhere."""

    process_types: dict[str, str]
    stack: str | None = None
    commit: str | None = Field(None, max_length=64)
    commit_description: str | None = None
    buildpack_provided_description: str | None = None
    checksum: str | None = None


@router.get("/apps/{app}/releases", response={200: list[ReleaseOut], 206: list[ReleaseOut]})
def index(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[ReleaseOut]]:
    """The app's releases."""
    by = asker(request)
    rows = access.app_for(by, app).releases.select_related("app", "slug", "by")
    return ranged(
        request, response, rows, lambda row: ReleaseOut.of(row, by), by="version", fields=["id", "created_at"]
    )


@router.get("/apps/{app}/releases/{ref}", response=ReleaseOut)
def info(request: HttpRequest, app: str, ref: str) -> ReleaseOut:
    """One release, by version or id."""
    by = asker(request)
    return ReleaseOut.of(release_of(access.app_for(by, app), ref), by)


@router.post("/apps/{app}/releases", response={201: ReleaseOut})
def create(request: HttpRequest, app: str, body: ReleaseIn) -> Status[ReleaseOut]:
    """Roll back to a release, or release a slug: of this app, or of another one that the asker may deploy."""
    by = asker(request)
    found = access.app_for(by, app, to=access.DEPLOY)
    if body.release:
        return Status(201, ReleaseOut.of(actions.rollback(found, release_of(found, body.release), by=by), by))
    if not body.slug:
        raise Refusal("Give either release or slug.")
    slug = _slug_for(by, found, body.slug)
    slug_uploads.demand_files(slug)
    doors.demand_open(found, by=by)
    with transaction.atomic():
        made = actions.create_release(
            found, kind="deploy", description=body.description or f"Deploy {slug}", by=by, slug=slug
        )
    return Status(201, ReleaseOut.of(made, by))


@router.post("/apps/{app}/slugs", response={201: SlugOut})
def create_slug(request: HttpRequest, app: str, body: SlugIn) -> Status[SlugOut]:
    """Describe a slug that is made elsewhere; its archive, a tar with everything in the folder `app`, is PUT to `blob.url`."""
    by = asker(request)
    made, url = slug_uploads.create(
        access.app_for(by, app, to=access.DEPLOY),
        body.process_types,
        by=by,
        stack=stack_name(body.stack or ""),
        commit=body.commit or "",
        message=body.commit_description or "",
        buildpack=body.buildpack_provided_description or "",
        checksum=body.checksum or "",
    )
    answer = SlugOut.of(made)
    answer.blob = SlugBlob(method="put", url=url)
    return Status(201, answer)


@router.get("/apps/{app}/slugs/{ref}", response=SlugOut)
def slug(request: HttpRequest, app: str, ref: str) -> SlugOut:
    """One slug that the app runs or ran."""
    return SlugOut.of(slug_of(access.app_for(asker(request), app), ref))


def release_of(app: App, ref: str) -> Release:
    """The app's release with this version (`12` or `v12`) or id."""
    rows = Release.objects.filter(app=app).select_related("app", "slug", "by")
    number = ref.removeprefix("v")
    if number.isdecimal() and len(number) < 9:
        found = rows.filter(version=int(number)).first()
    else:
        id = as_id(ref)
        found = rows.filter(pk=id).first() if id else None
    if found is None:
        raise NotFound("Couldn't find that release.", resource="release")
    return found


def _slug_for(by: User, app: App, ref: str) -> Slug:
    """The slug to release on `app`: its own, or one of an app that `by` may deploy, whose code is theirs to copy."""
    id = as_id(ref)
    other = Slug.objects.filter(pk=id).select_related("app").first() if id else None
    if other and other.app and access.DEPLOY in access.rights_in(by, other.app):
        return other
    return slug_of(app, ref)


def slug_of(app: App, ref: str) -> Slug:
    """The slug with this id, if it was built on the app or released there."""
    id = as_id(ref)
    found = Slug.objects.filter(pk=id).first() if id else None
    if found is None or not (found.app_id == app.pk or found.releases.filter(app=app).exists()):
        raise NotFound("Couldn't find that slug.", resource="slug")
    return found
