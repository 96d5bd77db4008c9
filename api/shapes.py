"""What the API answers: one typed shape per resource, made from our rows by its `of`. The names are the published
schema's; fields that Slipway has no use for carry their neutral value."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Self
from uuid import UUID, uuid5

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from pydantic import BaseModel, Field, PlainSerializer

from accounts import two_factor
from accounts.models import Membership, Team, User
from apps.models import App, Certificate, Collaborator, Domain, Dyno, Formation
from core import names
from core.names import NAMESPACE
from core.names import size as size_name
from engine.builder.buildpacks import NAME, REGISTRY
from pipelines.models import Coupling, Pipeline, Promotion, PromotionTarget
from releases.models import Build, Release, Slug, Source
from releases.streams import output_url

SINCE = datetime(2026, 1, 1, tzinfo=UTC)  # when they came to be


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


class Named(Schema):
    """A thing by id and name."""

    id: UUID
    name: str

    @classmethod
    def fixed(cls, kind: str, name: str) -> Self:
        """A thing of ours that has no row; its id is always the same."""
        return cls(id=_fixed_id(kind, name), name=name)


class Person(Schema):
    """A user by id and address."""

    id: UUID
    email: str

    @classmethod
    def of(cls, user: User | None) -> Self:
        """`user`, or the platform itself."""
        return (
            cls(id=user.pk, email=user.email)
            if user
            else cls(id=UUID(int=0), email="slipway@slipway.invalid")
        )


class PersonWithRights(Person):
    """A user by id and address, as those with rights in an app are told."""

    federated: bool = False


class PersonName(Person):
    """A user by id, address and name."""

    name: str | None

    @classmethod
    def of(cls, user: User | None) -> Self:
        found = Person.of(user)
        return cls(id=found.id, email=found.email, name=user.name or None if user else None)


class FeatureOut(Schema):
    """Something that can be on or off, or is told to be so for good."""

    id: UUID
    name: str
    description: str
    display_name: str
    doc_url: str = ""
    enabled: bool
    feedback_email: str = ""
    state: str = "general"
    created_at: Time
    updated_at: Time

    @classmethod
    def fixed(cls, kind: str, name: str, text: str, *, enabled: bool) -> Self:
        """A feature of a team, an account or an app; its id is always the same."""
        named = Named.fixed(f"{kind}-feature", name)
        return cls(
            id=named.id,
            name=name,
            description=text,
            display_name=name.replace("-", " ").capitalize(),
            enabled=enabled,
            created_at=SINCE,
            updated_at=SINCE,
        )


class ErrorOut(Schema):
    """What went wrong, for a program and for a person."""

    id: str
    message: str
    url: str = ""


class AccountOut(Schema):
    """The account behind the token."""

    id: UUID
    email: str
    name: str | None
    created_at: Time
    updated_at: Time
    last_login: Time | None
    allow_tracking: bool = False
    beta: bool = False
    federated: bool = False
    verified: bool = True
    two_factor_authentication: bool = False
    sms_number: str | None = None
    suspended_at: Time | None = None
    delinquent_at: Time | None = None
    country_of_residence: str | None = None
    default_organization: Named | None = None
    default_team: Named | None = None
    identity_provider: None = None

    @classmethod
    def of(cls, user: User) -> Self:
        return cls(
            id=user.pk,
            email=user.email,
            name=user.name or None,
            created_at=user.date_joined,
            updated_at=user.date_joined,
            last_login=user.last_login,
            two_factor_authentication=two_factor.has_factor(user),
        )

    @classmethod
    def of_other(cls, user: User) -> Self:
        """What anyone may know of a person whose address they know."""
        since = user.date_joined
        return cls(
            id=user.pk,
            email=user.email,
            name=user.name or None,
            created_at=since,
            updated_at=since,
            last_login=None,
        )


PLATFORM = AccountOut(
    id=UUID(int=0), email="slipway@slipway.invalid", name="Slipway", created_at=SINCE, updated_at=SINCE,
    last_login=None,
)  # fmt: skip

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


class BuildpackOut(Schema):
    """A buildpack by name or address."""

    name: str
    url: str

    @classmethod
    def of(cls, text: str) -> Self:
        """A name is told by the address that the CLI shows as that name."""
        return cls(name=text, url=REGISTRY.format(text) if NAME.fullmatch(text) and "/" in text else text)


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
            release=_ref(build.release_id),
            slug=_ref(build.slug_id),
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


class AppRef(Schema):
    """An app by id and name."""

    id: UUID
    name: str

    @classmethod
    def of(cls, app: App) -> Self:
        return cls(id=app.pk, name=app.name)


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
            slug=_ref(release.slug_id),
            created_at=release.created_at,
            updated_at=release.finished_at or release.created_at,
            addon_plan_names=release.addon_plans,
            artifacts=[{"type": "slug", "id": str(release.slug_id)}] if release.slug_id else [],
            eligible_for_rollback=release.eligible_for_rollback,
            output_stream_url=output_url(release, by=by) if release.release_command else None,
        )


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


class ReleaseRef(Schema):
    """A release by id and version."""

    id: UUID
    version: int


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


class OwnerRef(Schema):
    """Who owns a pipeline."""

    id: UUID
    type: str


class PipelineOut(Schema):
    """A pipeline."""

    id: UUID
    name: str
    owner: OwnerRef
    created_at: Time
    updated_at: Time
    generation: Named

    @classmethod
    def of(cls, pipeline: Pipeline) -> Self:
        kind = "team" if isinstance(pipeline.owner, Team) else "user"
        return cls(
            id=pipeline.pk,
            name=pipeline.name,
            owner=OwnerRef(id=pipeline.owner.pk, type=kind),
            created_at=pipeline.created_at,
            updated_at=pipeline.updated_at,
            generation=Named.fixed("generation", "cedar"),
        )


class CouplingOut(Schema):
    """An app in a stage. `stage` is the API's word; `stage_name` is the pipeline's own."""

    id: UUID
    app: Ref
    pipeline: Named
    stage: str
    stage_name: str
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, coupling: Coupling) -> Self:
        return cls(
            id=coupling.pk,
            app=Ref(id=coupling.app_id),
            pipeline=Named(id=coupling.pipeline_id, name=coupling.pipeline.name),
            stage=coupling.stage.word,
            stage_name=coupling.stage.name,
            created_at=coupling.created_at,
            updated_at=coupling.updated_at,
        )


class PromotionSource(Schema):
    """What is promoted."""

    app: Ref
    release: Ref


class PromotionOut(Schema):
    """A promotion."""

    id: UUID
    pipeline: Ref
    source: PromotionSource
    status: str
    created_at: Time
    updated_at: Time | None

    @classmethod
    def of(cls, promotion: Promotion) -> Self:
        return cls(
            id=promotion.pk,
            pipeline=Ref(id=promotion.pipeline_id),
            source=PromotionSource(app=Ref(id=promotion.source_id), release=Ref(id=promotion.release_id)),
            status=promotion.status,
            created_at=promotion.created_at,
            updated_at=promotion.completed_at or promotion.created_at,
        )


class TargetOut(Schema):
    """A promotion's way to one app."""

    id: UUID
    app: Ref
    pipeline_promotion: Ref
    release: Ref | None
    status: str
    error_message: str | None

    @classmethod
    def of(cls, target: PromotionTarget) -> Self:
        return cls(
            id=target.pk,
            app=Ref(id=target.app_id),
            pipeline_promotion=Ref(id=target.promotion_id),
            release=_ref(target.release_id),
            status=target.public_status,
            error_message=target.reason or None,
        )


class DomainOut(Schema):
    """A host name of an app."""

    id: UUID
    app: AppRef
    hostname: str
    kind: str
    cname: str | None
    status: str = "succeeded"
    acm_status: str | None = None
    acm_status_reason: str | None = None
    sni_endpoint: Named | None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, domain: Domain) -> Self:
        chosen = domain.certificate
        return cls(
            id=domain.pk,
            app=AppRef.of(domain.app),
            hostname=domain.hostname,
            kind="custom",
            cname=f"{domain.app.name}.{settings.APPS_HOST}",
            acm_status=domain.acm_status or None,
            acm_status_reason=domain.acm_reason or None,
            sni_endpoint=Named(id=chosen.pk, name=chosen.name) if chosen else None,
            created_at=domain.created_at,
            updated_at=domain.acm_at or domain.created_at,
        )

    @classmethod
    def given(cls, app: App) -> Self:
        """The host name that every app has of the platform."""
        return cls(
            id=uuid5(NAMESPACE, f"domain/{app.pk}"),
            app=AppRef.of(app),
            hostname=f"{app.name}.{settings.APPS_HOST}",
            kind="heroku",
            cname=None,
            created_at=app.created_at,
            updated_at=app.created_at,
        )


class CertificateOut(Schema):
    """What a certificate says. Some names end in a question mark: published so."""

    id: UUID
    cert_domains: list[str]
    subject: str
    issuer: str
    starts_at: Time
    expires_at: Time
    ca_signed: bool = Field(serialization_alias="ca_signed?")
    self_signed: bool = Field(serialization_alias="self_signed?")
    acm: bool = False

    @classmethod
    def of(cls, row: Certificate) -> Self:
        return cls(
            id=row.pk,
            cert_domains=row.cert_domains,
            subject=row.subject,
            issuer=row.issuer,
            starts_at=row.starts_at,
            expires_at=row.expires_at,
            acm=row.automatic,
            ca_signed=row.trusted,
            self_signed=row.self_signed,
        )


class SniEndpointOut(Schema):
    """A certificate of an app and the domains that answer with it. The key is never told."""

    id: UUID
    app: AppRef
    name: str
    display_name: str | None = None
    certificate_chain: str
    domains: list[UUID]
    ssl_cert: CertificateOut
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Certificate) -> Self:
        return cls(
            id=row.pk,
            app=AppRef.of(row.app),
            name=row.name,
            certificate_chain=row.chain,
            domains=[domain.pk for domain in row.domains.all()],
            ssl_cert=CertificateOut.of(row),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class Permission(Schema):
    """One right."""

    name: str
    description: str = ""


class CollaboratorOut(Schema):
    """A person with rights in an app."""

    id: UUID
    app: AppRef
    user: PersonWithRights
    role: str
    permissions: list[Permission]
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Collaborator) -> Self:
        return cls(
            id=row.pk,
            app=AppRef.of(row.app),
            user=PersonWithRights.of(row.user),
            role="collaborator" if row.rights else "member",  # who has joined has the rights of their role
            permissions=[Permission(name=right) for right in row.rights],
            created_at=row.created_at,
            updated_at=row.created_at,
        )

    @classmethod
    def by_right(cls, app: App, user: User, role: str, rights: Sequence[str]) -> Self:
        """A person who needs no row: the owner, or a member of the team that owns the app."""
        return cls(
            id=user.pk,
            app=AppRef.of(app),
            user=PersonWithRights.of(user),
            role=role,
            permissions=[Permission(name=right) for right in rights],
            created_at=app.created_at,
            updated_at=app.created_at,
        )


def role_word(role: str) -> str:
    """A role as the schema knows it, which has no viewers: they are its collaborators."""
    return "collaborator" if role == Membership.Role.VIEWER else role


class TeamOut(Schema):
    """A team that the asker is in."""

    id: UUID
    name: str
    role: str
    type: str = "team"
    default: bool = False
    credit_card_collections: bool = False
    provisioned_licenses: bool = False
    membership_limit: int | None = None
    enterprise_account: None = None
    identity_provider: None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, membership: Membership) -> Self:
        team = membership.team
        return cls(
            id=team.pk,
            name=team.name,
            role=role_word(membership.role),
            created_at=team.created_at,
            updated_at=team.created_at,
        )


class LogSessionOut(Schema):
    """Where to read an app's log, once."""

    id: UUID
    logplex_url: str
    created_at: Time
    updated_at: Time


class SourceUrls(Schema):
    """Where to put an archive, and where builds find it."""

    put_url: str
    get_url: str


class SourceOut(Schema):
    """A place for an archive of source code."""

    source_blob: SourceUrls


class StackOut(Schema):
    """A stack."""

    id: UUID
    name: str
    state: str = "public"
    default: bool = True
    created_at: Time
    updated_at: Time


class RegionOut(Schema):
    """Where dynos run: here."""

    id: UUID
    name: str
    country: str = "Your own"
    locale: str = "Here"
    description: str = "The machines that this Slipway runs on"
    private_capable: bool = False
    provider: dict[str, str]
    created_at: Time
    updated_at: Time


def _ref(id: UUID | None) -> Ref | None:
    return Ref(id=id) if id else None


def _upper(digest: str) -> str | None:
    return digest.replace("sha256:", "SHA256:") or None
