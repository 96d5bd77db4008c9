"""Config vars: read all, change some."""

from django.http import HttpRequest
from ninja import Body, Router

from api.asker import asker
from api.resources.releases import release_of
from apps import access
from apps.models import ConfigVar
from releases import actions

router = Router(tags=["Config vars"])


@router.get("/apps/{app}/config-vars", response=dict[str, str])
def index(request: HttpRequest, app: str) -> dict[str, str]:
    """The app's config vars, as the next release will have them."""
    found = access.app_for(asker(request), app, to=access.DEPLOY)
    return {var.key: var.value for var in ConfigVar.objects.filter(app=found)}


@router.patch("/apps/{app}/config-vars", response=dict[str, str])
def update(request: HttpRequest, app: str, body: Body[dict[str, str | None]]) -> dict[str, str]:
    """Set some and unset (null) others, in one release; answers with all."""
    by = asker(request)
    found = access.app_for(by, app, to=access.DEPLOY)
    actions.set_config(found, body, by=by)
    return {var.key: var.value for var in ConfigVar.objects.filter(app=found)}


@router.get("/apps/{app}/releases/{ref}/config-vars", response=dict[str, str])
def of_release(request: HttpRequest, app: str, ref: str) -> dict[str, str]:
    """The config vars of one release."""
    return release_of(access.app_for(asker(request), app, to=access.DEPLOY), ref).config
