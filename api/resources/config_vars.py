"""Config vars: read all, change some.

Write-only vars are left out of every answer and named in the header `Slipway-Write-Only`. A `null` in their place would
unset them when a program sends back what it got, as `heroku config:edit` does; what is absent stays as it is.
"""

from django.http import HttpRequest, HttpResponse
from ninja import Body, Router

from api.asker import asker
from api.resources.releases import release_of
from apps import access, config_vars
from apps.models import App
from pipelines.access import demand_config
from releases import actions

router = Router(tags=["Config vars"])


@router.get("/apps/{app}/config-vars", response=dict[str, str])
def index(request: HttpRequest, response: HttpResponse, app: str) -> dict[str, str]:
    """The app's config vars, as the next release will have them, without those that are write-only."""
    return _readable(_app(request, app), response)


@router.patch("/apps/{app}/config-vars", response=dict[str, str])
def update(
    request: HttpRequest, response: HttpResponse, app: str, body: Body[dict[str, str | None]]
) -> dict[str, str]:
    """Set some and unset (null) others, in one release; answers with all that are not write-only."""
    found = _app(request, app)
    actions.set_config(found, body, by=asker(request))
    return _readable(found, response)


@router.get("/apps/{app}/releases/{ref}/config-vars", response=dict[str, str])
def of_release(request: HttpRequest, app: str, ref: str) -> dict[str, str]:
    """The config vars of one release, without those that are or once were write-only."""
    found = _app(request, app)
    return config_vars.readable_of(found, release_of(found, ref).config)


def _app(request: HttpRequest, ref: str) -> App:
    """The app, for who may see its config: its stage can reserve that to admins."""
    by = asker(request)
    found = access.app_for(by, ref, to=access.DEPLOY)
    demand_config(by, found)
    return found


def _readable(app: App, response: HttpResponse) -> dict[str, str]:
    hidden = app.config_vars.filter(write_only=True).values_list("key", flat=True)
    if hidden:
        response.headers["Slipway-Write-Only"] = ", ".join(hidden)
    return config_vars.readable(app)
