"""The way from source to release: archives, buildpacks, builds, slugs and releases."""

from typing import Any, Self
from uuid import UUID

from accounts.models import User
from api.shapes.base import AppRef, Named, Ref, Schema, Time, ref
from api.shapes.people import Person
from engine.builder.buildpacks import NAME, REGISTRY
from releases.models import Build, Release, Slug, Source
from releases.streams import output_url


class BuildpackOut(Schema):
    """A buildpack by name or address."""

    name: str
    url: str

    @classmethod
    def of(cls, text: str) -> Self:
        """A name is told by the address that the CLI shows as that name."""
        return cls(name=text, url=REGISTRY.format(text) if NAME.fullmatch(text) and "/" in text else text)


class SourceUrls(Schema):
    """Where to put an archive, and where builds find it."""

    put_url: str
    get_url: str


class SourceOut(Schema):
    """A place for an archive of source code."""

    source_blob: SourceUrls


class SourceBlobOut(Schema):
    """Where a build's source came from."""

    url: str
    version: str | None
    checksum: str | None = None
    version_description: str | None = None

    @classmethod
    def of(cls, source: Source) -> Self:
        return cls(
            url="",
            version=source.commit or source.version,  # the builds plugin fails on null
            checksum=_upper(source.checksum),
            version_description=source.message or None,
        )


class BuildOut(Schema):
    """A build."""

    id: UUID
    app: Ref
    status: str
    user: Person
    stack: str
    buildpacks: list[BuildpackOut]
    source_blob: SourceBlobOut
    output_stream_url: str
    release: Ref | None
    slug: Ref | None
    created_at: Time
    updated_at: Time
    generation: str = "cedar"

    @staticmethod
    def status_of(build: Build) -> str:
        """The API's word."""
        return {"running": "pending", "cancelled": "failed"}.get(build.status, build.status)

    @classmethod
    def of(cls, build: Build, by: User) -> Self:
        """`build`, with an address of its output that lasts as long as the right of `by` to read it."""
        return cls(
            id=build.pk,
            app=Ref(id=build.app_id),
            status=cls.status_of(build),
            user=Person.of(build.by),
            stack=build.stack,
            buildpacks=[BuildpackOut.of(b) for b in build.buildpacks],
            source_blob=SourceBlobOut.of(build.source),
            output_stream_url=output_url(build, by=by),
            release=ref(build.release_id),
            slug=ref(build.slug_id),
            created_at=build.created_at,
            updated_at=build.finished_at or build.created_at,
        )


class SlugBlob(Schema):
    """Where to put a slug's archive, told when it is made; what is there, Slipway keeps to itself."""

    method: str = "get"
    url: str = ""


class SlugOut(Schema):
    """A slug."""

    id: UUID
    checksum: str | None
    commit: str | None
    commit_description: str | None
    process_types: dict[str, str]
    size: int | None
    stack: Named
    created_at: Time
    updated_at: Time
    blob: SlugBlob = SlugBlob()
    buildpack_provided_description: str | None
    deleted_at: Time | None = None

    @classmethod
    def of(cls, slug: Slug) -> Self:
        return cls(
            id=slug.pk,
            checksum=_upper(slug.digest),
            commit=slug.commit or None,
            commit_description=slug.message or None,
            process_types=slug.process_types,
            size=None if slug.is_empty else slug.bytes,
            stack=Named.fixed("stack", slug.stack),
            created_at=slug.created_at,
            updated_at=slug.created_at,
            buildpack_provided_description=", ".join(slug.buildpacks) or None,
            deleted_at=slug.expired_at,
        )


class ReleaseRef(Schema):
    """A release by id and version."""

    id: UUID
    version: int


class ReleaseOut(Schema):
    """A release."""

    id: UUID
    app: AppRef
    version: int
    description: str
    status: str
    current: bool
    user: Person
    slug: Ref | None
    created_at: Time
    updated_at: Time
    addon_plan_names: list[str]
    artifacts: list[dict[str, Any]]
    eligible_for_rollback: bool
    output_stream_url: str | None
    oci_image: None = None

    @classmethod
    def of(cls, release: Release, by: User) -> Self:
        """`release`, with an address of its output that lasts as long as the right of `by` to read it."""
        status = "pending" if release.status == "running" else release.status
        return cls(
            id=release.pk,
            app=AppRef.of(release.app),
            version=release.version,
            description=release.description,
            status=status,
            current=release.current,
            user=Person.of(release.by),
            slug=ref(release.slug_id),
            created_at=release.created_at,
            updated_at=release.finished_at or release.created_at,
            addon_plan_names=release.addon_plans,
            artifacts=[{"type": "slug", "id": str(release.slug_id)}] if release.slug_id else [],
            eligible_for_rollback=release.eligible_for_rollback,
            output_stream_url=output_url(release, by=by) if release.release_command else None,
        )


def _upper(digest: str) -> str | None:
    return digest.replace("sha256:", "SHA256:") or None
