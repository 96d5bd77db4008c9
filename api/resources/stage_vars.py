"""Config vars that apps inherit: those of a stage, and those of a whole pipeline. Who manages the pipeline reads and
changes them; reading them is noted."""

from django.http import HttpRequest
from ninja import Body, Router

from api.asker import asker
from api.resources.pipelines import stage_of
from pipelines import access, layers
from pipelines.models import Stage

router = Router(tags=["Config vars"])


@router.get("/pipelines/{ref}/stage/{stage}/config-vars", response=dict[str, str])
def of_stage(request: HttpRequest, ref: str, stage: str) -> dict[str, str]:
    """The config vars of a stage, by its name or the API's word for it, without those that it inherits itself."""
    return layers.reveal_all(_stage(request, ref, stage), by=asker(request))


@router.patch("/pipelines/{ref}/stage/{stage}/config-vars", response=dict[str, str])
def change_of_stage(
    request: HttpRequest, ref: str, stage: str, body: Body[dict[str, str | None]]
) -> dict[str, str]:
    """Set some and unset (null) others; answers with all of the stage. One release of each app that it concerns."""
    found, by = _stage(request, ref, stage), asker(request)
    layers.set_vars(found, body, by=by)
    return layers.reveal_all(found, by=by)


@router.get("/pipelines/{ref}/config-vars", response=dict[str, str])
def of_pipeline(request: HttpRequest, ref: str) -> dict[str, str]:
    """The config vars that all apps of a pipeline inherit, unless their stage has others."""
    by = asker(request)
    return layers.reveal_all(access.pipeline_for(by, ref, to=access.MANAGE), by=by)


@router.patch("/pipelines/{ref}/config-vars", response=dict[str, str])
def change_of_pipeline(request: HttpRequest, ref: str, body: Body[dict[str, str | None]]) -> dict[str, str]:
    """Set some and unset (null) others; answers with all of the pipeline. One release of each app that it concerns."""
    by = asker(request)
    found = access.pipeline_for(by, ref, to=access.MANAGE)
    layers.set_vars(found, body, by=by)
    return layers.reveal_all(found, by=by)


def _stage(request: HttpRequest, ref: str, stage: str) -> Stage:
    return stage_of(access.pipeline_for(asker(request), ref, to=access.MANAGE), stage)
