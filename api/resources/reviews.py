"""Review apps, how a pipeline has them come and go, and apps that are set up as their app.json says."""

from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field

from accounts import access as account_access
from accounts.models import User
from api.asker import asker
from api.http import ranged
from api.resources import test_runs
from api.resources.builds import SourceBlobIn
from api.shapes.reviews import AppSetupOut, ReviewAppOut, ReviewConfigOut
from apps import access as app_access
from apps import actions as app_actions
from apps import stacks
from apps.actions import plain_buildpack
from apps.models import App
from core.errors import NotFound, Refusal
from forge.models import PullRequest
from pipelines import access
from pipelines import actions as pipeline_actions
from pipelines.models import Pipeline, Stage
from releases import sources
from releases.models import Source
from reviews import access as review_access
from reviews import actions, setups
from reviews.models import AppSetup, ReviewApp

router = Router(tags=["Review apps"])
RESOLVE = "resolve"  # the branch's newest commit, as the CLI says
REVIEW_APPS = {200: list[ReviewAppOut], 206: list[ReviewAppOut]}


class BlobIn(Schema):
    """Where the source is: an address, or “resolve” for what the branch has."""

    url: str
    version: str | None = None


class ReviewAppIn(Schema):
    """A review app to make. `environment` is not taken: what review apps are told is the pipeline's to say."""

    branch: str = Field(max_length=255)
    pipeline: str
    source_blob: BlobIn
    pr_number: int | None = None
    environment: dict[str, str | None] | None = None


class RepoIn(Schema):
    """The repository, which is the connected one whatever is said."""

    id: int | None = None


class ConfigIn(Schema):
    """How review apps come and go; what is absent stays."""

    repo: RepoIn | str | int | None = None
    pipeline: str | None = None
    automatic_review_apps: bool | None = None
    destroy_stale_apps: bool | None = None
    stale_days: int | None = None
    wait_for_ci: bool | None = None
    base_name: str | None = None


class SetupAppIn(Schema):
    """The app to make."""

    name: str | None = None
    organization: str | None = None
    team: str | None = None
    personal: bool | None = None
    region: str | None = None
    stack: str | None = None
    locked: bool | None = None


class BuildpackUrl(Schema):
    """A buildpack by its address or name."""

    url: str


class OverridesIn(Schema):
    """What counts instead of app.json."""

    buildpacks: list[BuildpackUrl] = Field(default_factory=list, max_length=20)
    env: dict[str, str] = Field(default_factory=dict)


class PlaceIn(Schema):
    """Where in a pipeline it goes."""

    pipeline: str
    stage: str


class SetupIn(Schema):
    """An app to make as the app.json of a source says."""

    source_blob: SourceBlobIn
    app: SetupAppIn = SetupAppIn()
    overrides: OverridesIn = OverridesIn()
    pipeline_coupling: PlaceIn | None = None


# --- review apps --------------------------------------------------------------------------------------------------------


@router.post("/review-apps", response={201: ReviewAppOut})
def create(request: HttpRequest, body: ReviewAppIn) -> Status[ReviewAppOut]:
    """Ask for a review app of a branch or a pull request."""
    by = asker(request)
    pipeline = access.pipeline_for(by, body.pipeline, to=access.DEPLOY)
    if body.environment:
        raise Refusal("Set the config vars of review apps with PATCH /pipelines/ID/stage/review/config-vars.")
    source = _source(body.source_blob, by)
    pull_request = _pull_request(pipeline, body.pr_number) if body.pr_number is not None else None
    made = actions.create(pipeline, body.branch, pull_request=pull_request, source=source, by=by)
    return Status(201, ReviewAppOut.of(made[0]))


@router.get("/review-apps/{ref}", response=ReviewAppOut)
def info(request: HttpRequest, ref: UUID) -> ReviewAppOut:
    """One review app."""
    return ReviewAppOut.of(review_access.review_app_for(asker(request), ref))


@router.delete("/review-apps/{ref}", response=ReviewAppOut)
def destroy(request: HttpRequest, ref: UUID) -> ReviewAppOut:
    """Give a review app up; it goes soon, with all that it has."""
    by = asker(request)
    row = review_access.review_app_for(by, ref, to=access.DEPLOY)
    actions.destroy(row, by=by)
    row.refresh_from_db()
    return ReviewAppOut.of(row)


@router.get("/apps/{app}/review-app", response=ReviewAppOut)
def of_app(request: HttpRequest, app: str) -> ReviewAppOut:
    """What an app is the review app of."""
    found = app_access.app_for(asker(request), app)
    row = ReviewApp.objects.filter(app=found).select_related("pipeline", "pull_request").first()
    if row is None:
        raise NotFound(f"{found.name} is no review app.", resource="review_app")
    return ReviewAppOut.of(row)


@router.get("/pipelines/{ref}/review-apps", response=REVIEW_APPS)
def of_pipeline(request: HttpRequest, response: HttpResponse, ref: str) -> Status[list[ReviewAppOut]]:
    """The review apps of a pipeline that are wanted or still there."""
    by = asker(request)
    pipeline = access.pipeline_for(by, ref)
    return ranged(request, response, review_access.seen_by(by, pipeline), ReviewAppOut.of)


# --- how they come and go -----------------------------------------------------------------------------------------------


@router.get("/pipelines/{ref}/review-app-config", response=ReviewConfigOut)
def config(request: HttpRequest, ref: str) -> ReviewConfigOut:
    """How the pipeline's review apps come and go."""
    return _config(access.pipeline_for(asker(request), ref))


@router.post("/pipelines/{ref}/review-app-config", response={201: ReviewConfigOut})
def enable(request: HttpRequest, ref: str, body: ConfigIn) -> Status[ReviewConfigOut]:
    """Have the pipeline make review apps."""
    return Status(201, _set(request, ref, body))


@router.patch("/pipelines/{ref}/review-app-config", response=ReviewConfigOut)
def change(request: HttpRequest, ref: str, body: ConfigIn) -> ReviewConfigOut:
    """Change how review apps come and go; they are enabled if they were not."""
    return _set(request, ref, body)


@router.delete("/pipelines/{ref}/review-app-config", response=ReviewConfigOut)
def disable(request: HttpRequest, ref: str) -> ReviewConfigOut:
    """Have the pipeline make no review apps any more; those that are there stay."""
    by = asker(request)
    pipeline = access.pipeline_for(by, ref, to=access.MANAGE)
    answer = _config(pipeline)
    actions.set_settings(pipeline, enabled=False, automatic=False, by=by)
    return answer


# --- setups -------------------------------------------------------------------------------------------------------------


@router.post("/app-setups", response={202: AppSetupOut})
def set_up(request: HttpRequest, body: SetupIn) -> Status[AppSetupOut]:
    """Make an app as the app.json of a source says."""
    by = asker(request)
    source = sources.fetch(body.source_blob.url, user=by)
    with transaction.atomic():
        app = _make_app(body, by)
        blob = body.source_blob
        source = sources.adopt(source, app, version=blob.version or "", checksum=blob.checksum or "")
        buildpacks = [plain_buildpack(one.url) for one in body.overrides.buildpacks]
        setup = setups.create(app, source, env=body.overrides.env, buildpacks=buildpacks, by=by)
    return Status(202, AppSetupOut.of(setup, by))


@router.get("/app-setups/{ref}", response=AppSetupOut)
def setup_info(request: HttpRequest, ref: UUID) -> AppSetupOut:
    """How far the setup of an app is."""
    by = asker(request)
    return test_runs.setup_of(ref, by) or AppSetupOut.of(_setup_for(by, ref), by)


# --- parts of them ------------------------------------------------------------------------------------------------------


def _source(blob: BlobIn, by: User) -> Source | None:
    if blob.url == RESOLVE:
        return None
    source = sources.fetch(blob.url, user=by)
    source.version = (blob.version or "")[:200]
    source.save(update_fields=["version"])
    return source


def _pull_request(pipeline: Pipeline, number: int) -> PullRequest:
    found = PullRequest.objects.filter(repository__pipeline=pipeline, number=number).first()
    if found is None:
        raise NotFound(f"The repository of {pipeline.name} has no pull request #{number}.")
    return found


def _config(pipeline: Pipeline) -> ReviewConfigOut:
    settings = actions.settings_of(pipeline)
    if not settings.enabled:
        raise NotFound(f"{pipeline.name} has no review apps.", resource="review_app_config")
    return ReviewConfigOut.of(settings)


def _set(request: HttpRequest, ref: str, body: ConfigIn) -> ReviewConfigOut:
    by = asker(request)
    pipeline = access.pipeline_for(by, ref, to=access.MANAGE)
    asked = {
        "automatic": body.automatic_review_apps,
        "destroy_stale": body.destroy_stale_apps,
        "stale_days": body.stale_days,
        "wait_for_ci": body.wait_for_ci,
        "base_name": body.base_name,
    }
    changes = {name: value for name, value in asked.items() if value is not None}
    if "base_name" in changes:
        changes["predictable"] = bool(body.base_name)
    return ReviewConfigOut.of(actions.set_settings(pipeline, enabled=True, **changes, by=by))


def _make_app(body: SetupIn, by: User) -> App:
    team = body.app.organization or body.app.team
    owner = account_access.team_for(by, team, to=account_access.DEPLOY) if team else by
    app = app_actions.create_app(body.app.name, owner=owner, by=by)
    if body.app.stack:
        stacks.set_stack(app, body.app.stack, by=by)
    if body.pipeline_coupling:
        pipeline = access.pipeline_for(by, body.pipeline_coupling.pipeline, to=access.DEPLOY)
        word = body.pipeline_coupling.stage
        stage = Stage.objects.filter(pipeline=pipeline, word=word).first()
        if stage is None:
            raise NotFound(f"{pipeline.name} has no stage {word[:40]}.", resource="stage")
        pipeline_actions.couple(app, stage, by=by)
    return app


def _setup_for(by: User, ref: UUID) -> AppSetup:
    found = AppSetup.objects.filter(pk=ref).select_related("app", "build").first()
    if found is not None and (found.by_id == by.pk or _sees(by, found.app)):
        return found
    raise NotFound("Couldn't find that app setup.", resource="app_setup")


def _sees(by: User, app: App | None) -> bool:
    return app is not None and app_access.VIEW in app_access.rights_in(by, app)
