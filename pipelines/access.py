"""The one door to pipelines: rights in the pipeline and its apps, and the rules that a stage adds to them."""

from collections.abc import Iterable
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from accounts.access import (
    DEPLOY,
    MANAGE,
    RIGHTS,
    ROLE_RIGHTS,
    VIEW,
    demand,
    managers_of,
    owned_by,
    rights_as_owner,
)
from accounts.models import Membership, User
from apps import access as app_access
from apps.models import App, AppQuerySet
from core.errors import Forbidden, NotFound
from pipelines.models import Coupling, Pipeline, PipelineQuerySet, Stage

NAMED = 5  # people that a refusal names

__all__ = [
    "DEPLOY",
    "MANAGE",
    "RIGHTS",
    "VIEW",
    "coupling_for",
    "coupling_in",
    "demand_config",
    "demand_leaving",
    "demand_placing",
    "demand_promotion",
    "hiding_from",
    "may_promote_into",
    "may_see_config",
    "pipeline_and_rights",
    "pipeline_for",
    "pipelines_for",
    "protected_from",
    "rights_in",
    "showing_config",
    "visible_couplings",
]


def rights_in(user: User, pipeline: Pipeline) -> frozenset[str]:
    """What `user` may do with the pipeline itself; whoever may view one of its apps may view it."""
    rights = rights_as_owner(user, pipeline)
    if VIEW in rights or not user.is_authenticated or not user.is_active:
        return rights
    sees_an_app = Coupling.objects.filter(pipeline=pipeline, app__in=app_access.apps_for(user)).exists()
    return rights | {VIEW} if sees_an_app else rights


def pipeline_for(user: User, ref: str, *, to: str = VIEW) -> Pipeline:
    """The pipeline with this name or UUID, for `user` to `to`. Foreign and absent are the same `NotFound`."""
    pipeline, rights = _found(user, ref)
    demand(rights, to, what="pipeline", resource="pipeline", name=pipeline.name)
    return pipeline


def pipeline_and_rights(user: User, ref: str) -> tuple[Pipeline, frozenset[str]]:
    """The pipeline, and what `user` may do with it: for pages that show both."""
    pipeline, rights = _found(user, ref)
    demand(rights, VIEW, what="pipeline", resource="pipeline", name=pipeline.name)
    return pipeline, rights


def _found(user: User, ref: str) -> tuple[Pipeline, frozenset[str]]:
    """As `rights_in` says, in one query for who is in the team that owns it."""
    if not user.is_authenticated:
        raise NotFound("Couldn't find that pipeline.", resource="pipeline")
    roles = Membership.objects.filter(team=OuterRef("team"), user=user)
    rows: Any = Pipeline.objects.select_related("user", "team").by_ref(ref)
    pipeline = rows.annotate(role_of_viewer=Subquery(roles.values("role")[:1])).first()
    if pipeline is None:
        raise NotFound("Couldn't find that pipeline.", resource="pipeline")
    if user.is_active and pipeline.role_of_viewer:
        return pipeline, ROLE_RIGHTS[Membership.Role(pipeline.role_of_viewer)]
    return pipeline, rights_in(user, pipeline)


def pipelines_for(user: User) -> PipelineQuerySet:
    """Every pipeline that `user` may view."""
    through_apps = Q(couplings__app__in=app_access.apps_for(user))
    return Pipeline.objects.filter(pk__in=Pipeline.objects.filter(owned_by(user) | through_apps).values("pk"))


def visible_couplings(user: User, pipeline: Pipeline):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """The pipeline's couplings whose app `user` may view."""
    return Coupling.objects.filter(pipeline=pipeline, app__in=app_access.apps_for(user)).select_related(
        "app", "stage", "pipeline"
    )


def coupling_for(user: User, app_ref: str, *, to: str = VIEW) -> Coupling:
    """The coupling of the app with this name or UUID, for `user` to `to` with the app."""
    app = app_access.app_for(user, app_ref, to=to)
    coupling = Coupling.objects.select_related("app", "stage", "pipeline").filter(app=app).first()
    if coupling is None:
        raise NotFound(f"{app.name} is not in a pipeline.", resource="pipeline_coupling")
    return coupling


def coupling_in(pipeline: Pipeline, user: User, app_ref: str, *, to: str = VIEW) -> Coupling:
    """The coupling of an app in this very pipeline. Promoting from and to an app, moving it and taking it out are
    judged by the rights in the app, whoever owns the pipeline."""
    coupling = coupling_for(user, app_ref, to=to)
    if coupling.pipeline_id != pipeline.pk:
        raise NotFound("Couldn't find that app in this pipeline.", resource="app")
    return coupling


# --- the rules of a stage -----------------------------------------------------------------------------------------------
#
# They take away: who may not deploy an app may not promote to it or see its config whatever its stage says. `user` is
# a manager where they manage the pipeline; whoever manages an app itself always sees its config and may take it out.


def may_promote_into(user: User, stage: Stage) -> bool:
    """Whether the stage lets `user` promote into it; the right to deploy the target app is asked for besides."""
    return stage.pk not in protected_from(user, stage.pipeline, [stage])


def protected_from(user: User, pipeline: Pipeline, stages: Iterable[Stage] | None = None) -> frozenset[Any]:
    """The ids of the stages (by default all of the pipeline's) that `user` may not promote into: for pages that show
    several. Three queries at most."""
    rows = list(Stage.objects.filter(pipeline=pipeline) if stages is None else stages)
    ruled = [stage for stage in rows if stage.promoters != Stage.Promoters.DEPLOYERS]
    if not ruled:
        return frozenset()
    named = set(
        Stage.people.through.objects.filter(user=user, stage__in=ruled).values_list("stage_id", flat=True)
    )
    manages = _manages(user, pipeline)
    admins = Stage.Promoters.ADMINS
    return frozenset(
        stage.pk
        for stage in ruled
        if not (manages if stage.promoters == admins else stage.pk in named and user.is_active)
    )


def demand_promotion(user: User, coupling: Coupling) -> None:
    """`Forbidden`, with who can, when the stage of `coupling` does not let `user` promote into it."""
    if not may_promote_into(user, coupling.stage):
        raise Forbidden(
            f"You may not promote into {coupling.stage.title}. {_who_may_promote(coupling.stage)}"
        )


def may_see_config(user: User, app: App) -> bool:
    """Whether `user` may see the values of the app's config vars, change them, and start one-off dynos, which are told
    all of them: whoever may deploy the app, unless its stage reserves that to admins."""
    rights = app_access.rights_at_hand(user, app)
    if DEPLOY not in rights or MANAGE in rights:
        return DEPLOY in rights
    return not hiding_from(user, [app])


def hiding_from(user: User, apps: Iterable[App]) -> frozenset[Any]:
    """The ids of those of `apps` whose stage hides config from `user`, who does not manage the app itself: for pages
    that compare several. The right to deploy is asked for besides."""
    rows = Coupling.objects.filter(app__in=list(apps), stage__readers=Stage.Readers.ADMINS)
    found = list(app_access.with_rights(rows.select_related("app", "pipeline"), user, app="app__"))
    managed = _managed(user, {row.pipeline for row in found})
    return frozenset(
        row.app_id
        for row in found
        if MANAGE not in app_access.rights_found(user, row.app, row) and row.pipeline not in managed
    )


def showing_config(user: User, rows: AppQuerySet) -> list[App]:
    """Those of the apps `rows` whose config `user` may see, as `may_see_config` says: three queries at most."""
    apps = {
        row for row in app_access.with_rights(rows, user) if DEPLOY in app_access.rights_found(user, row, row)
    }
    hidden = hiding_from(user, apps)
    return [row for row in apps if row.pk not in hidden]


def demand_config(user: User, app: App) -> None:
    """`Forbidden`, with who can, when `user` may not see the app's config."""
    if may_see_config(user, app):
        return
    coupling = Coupling.objects.select_related("stage__pipeline__team", "stage__pipeline__user").get(app=app)
    raise Forbidden(
        f"{coupling.stage.title} shows config vars to its admins only; that goes for one-off dynos too, which are "
        f"told all of them. {_ask(managers_of(coupling.stage.pipeline.owner)[:NAMED])}"
    )


def demand_placing(user: User, stage: Stage) -> None:
    """`Forbidden` when `user` may not put an app into `stage`: it would start with the stage's config vars, and who
    comes in that way has promoted."""
    if not may_promote_into(user, stage):
        raise Forbidden(f"You may not put apps into {stage.title}. {_who_may_promote(stage)}")
    if stage.readers == Stage.Readers.ADMINS and not _manages(user, stage.pipeline):
        raise Forbidden(
            f"{stage.title} shows config vars to its admins only, so they alone put apps into it. "
            f"{_ask(managers_of(stage.pipeline.owner)[:NAMED])}"
        )


def demand_leaving(user: User, coupling: Coupling) -> None:
    """`Forbidden` when `user` may not take the app out of its stage: its rules would end with that. Whoever manages
    the app always may."""
    if MANAGE in app_access.rights_in(user, coupling.app):
        return
    if not may_promote_into(user, coupling.stage) or not may_see_config(user, coupling.app):
        raise Forbidden(
            f"You may not take {coupling.app.name} out of {coupling.stage.title}, which is protected. "
            f"{_ask(managers_of(coupling.pipeline.owner)[:NAMED])}"
        )


def _managed(user: User, pipelines: Iterable[Pipeline]) -> set[Pipeline]:
    """Those of `pipelines` that `user` manages, in one query at most."""
    found = set(pipelines)
    if not found or not user.is_active:
        return set()
    roles = [role for role, rights in ROLE_RIGHTS.items() if MANAGE in rights]
    teams = [pipeline.team_id for pipeline in found]
    rows = Membership.objects.filter(user=user, team__in=teams, role__in=roles)
    managed = set(rows.values_list("team_id", flat=True))
    return {pipeline for pipeline in found if pipeline.user_id == user.pk or pipeline.team_id in managed}


def _manages(user: User, pipeline: Pipeline) -> bool:
    return MANAGE in rights_as_owner(user, pipeline)


def _who_may_promote(stage: Stage) -> str:
    if stage.promoters == Stage.Promoters.ADMINS:
        return _ask(managers_of(stage.pipeline.owner)[:NAMED])
    return _ask(list(stage.people.filter(is_active=True)[:NAMED]))


def _ask(people: list[User]) -> str:
    """“Ask Alice Liddell or Bob Sawyer.”; of many, the first few."""
    names = [person.get_full_name() for person in people]
    if not names:
        return "Ask an admin of the pipeline."
    *first, last = names
    return f"Ask {', '.join(first)} or {last}." if first else f"Ask {last}."
