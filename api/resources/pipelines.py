"""Pipelines, couplings and promotions."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field

from accounts import access as account_access
from accounts.models import Team, User
from api.asker import asker
from api.http import ranged
from api.resources.releases import release_of
from api.shapes.pipelines import CouplingOut, PipelineOut, PromotionOut, TargetOut
from api.shapes.releases import BuildOut, ReleaseOut
from apps import access as app_access
from apps.models import App
from core.errors import NotFound, Refusal
from pipelines import access, actions
from pipelines.models import Coupling, Pipeline, Promotion, Stage
from releases.models import Build, Release

router = Router(tags=["Pipelines"])
COUPLINGS = {200: list[CouplingOut], 206: list[CouplingOut]}


class OwnerIn(Schema):
    """Who shall own it."""

    id: UUID
    type: str = "user"


class PipelineIn(Schema):
    """A new pipeline."""

    name: str
    owner: OwnerIn | None = None


class PipelineChange(Schema):
    """What of a pipeline can be changed."""

    name: str | None = None


class RefIn(Schema):
    """A thing by id or name."""

    id: str


class CouplingIn(Schema):
    """An app to put into a stage."""

    app: str | RefIn
    pipeline: str | RefIn
    stage: str


class StageIn(Schema):
    """The stage to move to: the API's word, or the name of one of the pipeline's own."""

    stage: str


class AppIn(Schema):
    """An app by id or name."""

    id: str | None = None
    name: str | None = None


class SourceIn(Schema):
    """What to promote: the app's current release, or the one named."""

    app: AppIn
    release: RefIn | None = None


class TargetIn(Schema):
    """Where to."""

    app: AppIn


class PromotionIn(Schema):
    """A promotion to make."""

    pipeline: RefIn
    source: SourceIn
    targets: list[TargetIn] = Field(min_length=1, max_length=200)


@router.get("/pipelines", response={200: list[PipelineOut], 206: list[PipelineOut]})
def index(request: HttpRequest, response: HttpResponse) -> Status[list[PipelineOut]]:
    """Every pipeline that the asker may view; `?eq[name]=` narrows it down."""
    rows = access.pipelines_for(asker(request)).select_related("user", "team")
    name = request.GET.get("eq[name]")
    return ranged(
        request, response, rows.filter(name=name) if name else rows, PipelineOut.of, fields=["name"]
    )


@router.post("/pipelines", response={201: PipelineOut})
def create(request: HttpRequest, body: PipelineIn) -> Status[PipelineOut]:
    """Make a pipeline."""
    by = asker(request)
    return Status(
        201, PipelineOut.of(actions.create_pipeline(body.name, owner=_owner(by, body.owner), by=by))
    )


@router.get("/pipelines/{ref}", response=PipelineOut)
def info(request: HttpRequest, ref: str) -> PipelineOut:
    """One pipeline, by name or id."""
    return PipelineOut.of(access.pipeline_for(asker(request), ref))


@router.patch("/pipelines/{ref}", response=PipelineOut)
def update(request: HttpRequest, ref: str, body: PipelineChange) -> PipelineOut:
    """Rename a pipeline."""
    by = asker(request)
    pipeline = access.pipeline_for(by, ref, to=access.MANAGE)
    if body.name and body.name != pipeline.name:
        actions.rename_pipeline(pipeline, body.name, by=by)
    return PipelineOut.of(pipeline)


@router.delete("/pipelines/{ref}", response=PipelineOut)
def destroy(request: HttpRequest, ref: str) -> PipelineOut:
    """Take a pipeline away; its apps stay."""
    by = asker(request)
    pipeline = access.pipeline_for(by, ref, to=access.MANAGE)
    answer = PipelineOut.of(pipeline)
    actions.destroy_pipeline(pipeline, confirm=pipeline.name, by=by)
    return answer


@router.get("/pipelines/{ref}/pipeline-couplings", response=COUPLINGS)
def couplings(request: HttpRequest, response: HttpResponse, ref: str) -> Status[list[CouplingOut]]:
    """The pipeline's apps that the asker may view, with their stages."""
    by = asker(request)
    rows = access.visible_couplings(by, access.pipeline_for(by, ref))
    return ranged(request, response, rows, CouplingOut.of)


@router.get("/pipeline-couplings", response=COUPLINGS)
def all_couplings(request: HttpRequest, response: HttpResponse) -> Status[list[CouplingOut]]:
    """The stage of every app that the asker may view."""
    rows = Coupling.objects.filter(app__in=app_access.apps_for(asker(request))).select_related(
        "pipeline", "stage"
    )
    return ranged(request, response, rows, CouplingOut.of)


@router.get("/users/~/pipeline-couplings", response=COUPLINGS)
def own_couplings(request: HttpRequest, response: HttpResponse) -> Status[list[CouplingOut]]:
    """The stage of every app that the asker may view."""
    return all_couplings(request, response)


@router.get("/teams/{team}/pipeline-couplings", response=COUPLINGS)
def couplings_of_team(request: HttpRequest, response: HttpResponse, team: str) -> Status[list[CouplingOut]]:
    """The stage of every app of a team."""
    owner = account_access.team_for(asker(request), team)
    rows = Coupling.objects.filter(app__in=App.objects.alive().listed().filter(team=owner))
    return ranged(request, response, rows.select_related("pipeline", "stage"), CouplingOut.of)


@router.get("/apps/{app}/pipeline-couplings", response=CouplingOut)
def coupling_of_app(request: HttpRequest, app: str) -> CouplingOut:
    """The stage of one app."""
    return CouplingOut.of(access.coupling_for(asker(request), app))


@router.post("/pipeline-couplings", response={201: CouplingOut})
def couple(request: HttpRequest, body: CouplingIn) -> Status[CouplingOut]:
    """Put an app into a stage."""
    by = asker(request)
    pipeline = access.pipeline_for(by, _text(body.pipeline), to=access.DEPLOY)
    app = app_access.app_for(by, _text(body.app), to=app_access.DEPLOY)
    return Status(201, CouplingOut.of(actions.couple(app, stage_of(pipeline, body.stage), by=by)))


@router.get("/pipeline-couplings/{ref}", response=CouplingOut)
def coupling(request: HttpRequest, ref: UUID) -> CouplingOut:
    """One coupling."""
    return CouplingOut.of(_coupling(asker(request), ref, app_access.VIEW))


@router.patch("/pipeline-couplings/{ref}", response=CouplingOut)
def move(request: HttpRequest, ref: UUID, body: StageIn) -> CouplingOut:
    """Move an app to another stage of its pipeline."""
    by = asker(request)
    found = _coupling(by, ref, app_access.DEPLOY)
    return CouplingOut.of(actions.move(found, stage_of(found.pipeline, body.stage), by=by))


@router.delete("/pipeline-couplings/{ref}", response=CouplingOut)
def uncouple(request: HttpRequest, ref: UUID) -> CouplingOut:
    """Take an app out of its pipeline."""
    by = asker(request)
    found = _coupling(by, ref, app_access.DEPLOY)
    answer = CouplingOut.of(found)
    actions.uncouple(found, by=by)
    return answer


@router.post("/pipeline-promotions", response={201: PromotionOut})
def promote(request: HttpRequest, body: PromotionIn) -> Status[PromotionOut]:
    """Promote the source's release to each target."""
    by = asker(request)
    pipeline = access.pipeline_for(by, body.pipeline.id)
    source = _in(pipeline, by, body.source.app)
    targets = [_in(pipeline, by, target.app, to=app_access.VIEW) for target in body.targets]
    release = _release(source, body.source.release.id) if body.source.release else None
    return Status(201, PromotionOut.of(actions.promote(source, targets, by=by, release=release)))


@router.get("/pipeline-promotions/{ref}", response=PromotionOut)
def promotion(request: HttpRequest, ref: UUID) -> PromotionOut:
    """One promotion."""
    return PromotionOut.of(_promotion(asker(request), ref))


@router.get(
    "/pipeline-promotions/{ref}/promotion-targets", response={200: list[TargetOut], 206: list[TargetOut]}
)
def targets(request: HttpRequest, response: HttpResponse, ref: UUID) -> Status[list[TargetOut]]:
    """How far a promotion has come, target by target."""
    return ranged(request, response, _promotion(asker(request), ref).targets.all(), TargetOut.of)


@router.get("/pipelines/{ref}/latest-releases", response=list[ReleaseOut])
def latest_releases(request: HttpRequest, ref: str) -> list[ReleaseOut]:
    """The newest release of each app of the pipeline."""
    by = asker(request)
    rows = Release.objects.select_related("app", "by", "slug").order_by("-version")
    return [ReleaseOut.of(row, by) for app in _apps(by, ref) if (row := rows.filter(app=app).first())]


@router.get("/pipelines/{ref}/latest-deployments", response=list[ReleaseOut])
def latest_deployments(request: HttpRequest, ref: str) -> list[ReleaseOut]:
    """The newest release with new code of each app of the pipeline."""
    by = asker(request)
    rows = Release.objects.filter(kind__in=["deploy", "promote", "rollback"])
    rows = rows.select_related("app", "by", "slug").order_by("-version")
    return [ReleaseOut.of(row, by) for app in _apps(by, ref) if (row := rows.filter(app=app).first())]


@router.get("/pipelines/{ref}/latest-builds", response=list[BuildOut])
def latest_builds(request: HttpRequest, ref: str) -> list[BuildOut]:
    """The newest build of each app of the pipeline."""
    by = asker(request)
    rows = Build.objects.select_related("app", "by", "source").order_by("-created_at")
    return [BuildOut.of(row, by) for app in _apps(by, ref) if (row := rows.filter(app=app).first())]


def stage_of(pipeline: Pipeline, text: str) -> Stage:
    """The pipeline's stage of that name, or else its first one that answers to that word of the API."""
    stages = list(pipeline.stages.all())
    found = next((s for s in stages if s.name == text), None) or next(
        (s for s in stages if s.word == text), None
    )
    if found is None:
        raise Refusal(
            f"{pipeline.name} has no stage {text[:40]}. It has: {', '.join(s.name for s in stages)}."
        )
    return found


def _owner(by: User, asked: OwnerIn | None) -> User | Team:
    if asked is None or (asked.type == "user" and asked.id == by.pk):
        return by
    team = Team.objects.filter(pk=asked.id, members=by).first() if asked.type == "team" else None
    if team is None:
        raise NotFound("Couldn't find that owner.", resource="owner")
    return account_access.team_for(by, team.name, to=account_access.DEPLOY)


def _text(ref: str | RefIn) -> str:
    return ref if isinstance(ref, str) else ref.id


def _coupling(user: User, ref: UUID, to: str) -> Coupling:
    found = Coupling.objects.filter(pk=ref, app__in=app_access.apps_for(user)).first()
    if found is None:
        raise NotFound("Couldn't find that pipeline coupling.", resource="pipeline_coupling")
    return access.coupling_for(user, str(found.app_id), to=to)


def _in(pipeline: Pipeline, user: User, app: AppIn, *, to: str = app_access.DEPLOY) -> Coupling:
    coupling = access.coupling_for(user, app.id or app.name or "", to=to)
    if coupling.pipeline_id != pipeline.pk:
        raise NotFound("Couldn't find that app in this pipeline.", resource="app")
    return coupling


def _release(source: Coupling, ref: str) -> Release:
    return release_of(source.app, ref)


def _promotion(user: User, ref: UUID) -> Promotion:
    found = Promotion.objects.filter(pk=ref, pipeline__in=access.pipelines_for(user)).first()
    if found is None:
        raise NotFound("Couldn't find that promotion.", resource="pipeline_promotion")
    return found


def _apps(user: User, ref: str) -> list[UUID]:
    couplings = access.visible_couplings(user, access.pipeline_for(user, ref))
    return list(couplings.values_list("app", flat=True))
