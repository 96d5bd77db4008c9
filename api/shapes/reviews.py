"""What the API answers of review apps and of setups of apps."""

from typing import Self
from uuid import UUID, uuid5

from accounts.models import User
from api.shapes.base import Named, Ref, Schema, Time
from api.shapes.releases import BuildOut
from core.names import NAMESPACE
from releases.models import Build
from releases.streams import output_url
from reviews.models import AppSetup, ReviewApp, ReviewSettings

NOBODY = UUID(int=0)


class ReviewRepo(Schema):
    """A repository by a number, as the schema wants it: ours is made of an id."""

    id: int


class ReviewAppOut(Schema):
    """A review app."""

    id: UUID
    app: Ref | None
    app_setup: Ref | None
    branch: str
    created_at: Time
    creator: Ref
    error_status: str | None
    fork_repo: ReviewRepo | None
    message: str | None
    pipeline: Ref
    pr_number: int | None
    status: str
    updated_at: Time
    wait_for_ci: bool

    @classmethod
    def of(cls, row: ReviewApp) -> Self:
        """`row`, come with its pull request."""
        return cls(
            id=row.pk,
            app=Ref(id=row.app_id) if row.app_id else None,
            app_setup=Ref(id=row.setup_id) if row.setup_id else None,
            branch=row.branch,
            created_at=row.created_at,
            creator=Ref(id=row.by_id or NOBODY),
            error_status="errored" if row.state == ReviewApp.State.ERRORED else None,
            fork_repo=ReviewRepo(id=_number(uuid5(NAMESPACE, row.from_fork))) if row.from_fork else None,
            message=row.message or None,
            pipeline=Ref(id=row.pipeline_id),
            pr_number=row.pull_request.number if row.pull_request else None,
            status=row.state,
            updated_at=row.updated_at,
            wait_for_ci=row.wait_for_ci,
        )


class DeployTarget(Schema):
    """Where they run."""

    id: str = "us"
    type: str = "region"


class ReviewConfigOut(Schema):
    """How review apps of a pipeline come and go."""

    automatic_review_apps: bool
    base_name: str | None
    deploy_target: DeployTarget
    destroy_stale_apps: bool
    pipeline_id: UUID
    repo: ReviewRepo
    stale_days: int
    wait_for_ci: bool

    @classmethod
    def of(cls, row: ReviewSettings) -> Self:
        return cls(
            automatic_review_apps=row.automatic,
            base_name=(row.base_name or row.pipeline.name) if row.predictable else None,
            deploy_target=DeployTarget(),
            destroy_stale_apps=row.destroy_stale,
            pipeline_id=row.pipeline_id,
            repo=ReviewRepo(id=_number(row.pipeline_id)),
            stale_days=row.stale_days,
            wait_for_ci=row.wait_for_ci,
        )


class SetupBuild(Schema):
    """The build of a setup."""

    id: UUID
    status: str
    output_stream_url: str


class Postdeploy(Schema):
    """What the postdeploy script said, and its exit status."""

    output: str
    exit_code: int


class AppSetupOut(Schema):
    """The setup of an app as its app.json says."""

    id: UUID
    app: Named
    build: SetupBuild | None
    created_at: Time
    failure_message: str | None
    manifest_errors: list[str]
    postdeploy: Postdeploy | None
    resolved_success_url: str | None
    status: str
    updated_at: Time

    @classmethod
    def of(cls, row: AppSetup, by: User) -> Self:
        """`row`, with an address of the build's output that lasts as long as the right of `by` to read it."""
        return cls(
            id=row.pk,
            app=Named(id=row.app.pk, name=row.app.name) if row.app else Named.fixed("app", "destroyed"),
            build=_setup_build(row.build, by) if row.build else None,
            created_at=row.created_at,
            failure_message=row.failure or None,
            manifest_errors=list(row.manifest_errors),
            postdeploy=None
            if row.postdeploy_code is None
            else Postdeploy(output=row.postdeploy_output, exit_code=row.postdeploy_code),
            resolved_success_url=_success_url(row),
            status="pending" if row.status == "running" else row.status,
            updated_at=row.updated_at,
        )


def _setup_build(build: Build, by: User) -> SetupBuild:
    status = BuildOut.status_of(build)
    return SetupBuild(id=build.pk, status=status, output_stream_url=output_url(build, by=by))


def _success_url(row: AppSetup) -> str | None:
    """Where the app greets who set it up: a path of its own, or an address elsewhere."""
    if row.status != AppSetup.Status.SUCCEEDED or row.app is None:
        return None
    if row.success_url.startswith(("https://", "http://")):
        return row.success_url
    return row.app.web_url + row.success_url.lstrip("/")


def _number(id: UUID) -> int:
    return id.int % 2**31
