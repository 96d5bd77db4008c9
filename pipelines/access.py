"""The one door to pipelines."""

from django.db.models import Q

from accounts.access import DEPLOY, MANAGE, RIGHTS, VIEW, demand, owned_by, rights_as_owner
from accounts.models import User
from apps import access as app_access
from core.errors import NotFound
from pipelines.models import Coupling, Pipeline, PipelineQuerySet

__all__ = [
    "DEPLOY",
    "MANAGE",
    "RIGHTS",
    "VIEW",
    "coupling_for",
    "coupling_in",
    "pipeline_and_rights",
    "pipeline_for",
    "pipelines_for",
    "rights_in",
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
    pipeline = Pipeline.objects.select_related("user", "team").by_ref(ref).first()
    if pipeline is None or not user.is_authenticated:
        raise NotFound("Couldn't find that pipeline.", resource="pipeline")
    demand(rights_in(user, pipeline), to, what="pipeline", resource="pipeline", name=pipeline.name)
    return pipeline


def pipeline_and_rights(user: User, ref: str) -> tuple[Pipeline, frozenset[str]]:
    """The pipeline, and what `user` may do with it: for pages that show both."""
    pipeline = Pipeline.objects.select_related("user", "team").by_ref(ref).first()
    if pipeline is None or not user.is_authenticated:
        raise NotFound("Couldn't find that pipeline.", resource="pipeline")
    rights = rights_in(user, pipeline)
    demand(rights, VIEW, what="pipeline", resource="pipeline", name=pipeline.name)
    return pipeline, rights


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
