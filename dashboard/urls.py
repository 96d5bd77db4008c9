"""The pages. A new button is a new noun to POST to, never a flag on an old address."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import path

from dashboard.views import jump


def page(module: str, view: str) -> Callable[..., HttpResponseBase]:
    """The view of a module of `dashboard.views`, imported when it is asked for."""

    def answer(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        return getattr(import_module(f"dashboard.views.{module}"), view)(request, **kwargs)

    return answer


urlpatterns = [
    path("", page("pipelines", "index"), name="pipelines"),
    path("jump/", jump.jump, name="jump"),
    path("sign-in/", page("sign_in", "sign_in"), name="sign-in"),
    path("sign-out/", page("sign_in", "sign_out"), name="sign-out"),
    path("setup/<str:secret>/", page("sign_in", "setup"), name="setup"),
    # pipelines
    path("pipelines/new/", page("pipelines", "new"), name="pipeline-new"),
    path("pipelines/<slug:name>/", page("board", "board"), name="board"),
    path("pipelines/<slug:name>/activity/", page("pipeline_activity", "activity"), name="pipeline-activity"),
    path("pipelines/<slug:name>/couplings/new/", page("board", "new_coupling"), name="coupling-new"),
    path("pipelines/<slug:name>/couplings/", page("board", "couple"), name="couplings"),
    path(
        "pipelines/<slug:name>/couplings/<slug:app_name>/stage/", page("board", "move"), name="coupling-stage"
    ),
    path(
        "pipelines/<slug:name>/couplings/<slug:app_name>/removal/",
        page("board", "uncouple"),
        name="coupling-removal",
    ),
    path("pipelines/<slug:name>/promotions/new/", page("promotions", "new"), name="promotion-new"),
    path("pipelines/<slug:name>/promotions/", page("promotions", "create"), name="promotions"),
    path(
        "pipelines/<slug:name>/promotions/<uuid:promotion_id>/", page("promotions", "show"), name="promotion"
    ),
    # settings of a pipeline
    path("pipelines/<slug:name>/settings/", page("pipeline_settings", "settings"), name="pipeline-settings"),
    path("pipelines/<slug:name>/name/", page("pipeline_settings", "rename"), name="pipeline-name"),
    path("pipelines/<slug:name>/owner/", page("pipeline_settings", "transfer"), name="pipeline-owner"),
    path("pipelines/<slug:name>/removal/", page("pipeline_settings", "destroy"), name="pipeline-removal"),
    path("pipelines/<slug:name>/stages/", page("pipeline_settings", "add_stage"), name="stages"),
    path(
        "pipelines/<slug:name>/stages/<slug:stage_name>/",
        page("pipeline_settings", "change_stage"),
        name="stage",
    ),
    path(
        "pipelines/<slug:name>/stages/<slug:stage_name>/place/",
        page("pipeline_settings", "move_stage"),
        name="stage-place",
    ),
    path(
        "pipelines/<slug:name>/stages/<slug:stage_name>/removal/",
        page("pipeline_settings", "remove_stage"),
        name="stage-removal",
    ),
    # teams
    path("teams/", page("teams", "index"), name="teams"),
    path("teams/<slug:name>/", page("teams", "show"), name="team"),
    path("teams/<slug:name>/members/", page("teams", "add_member"), name="members"),
    path("teams/<slug:name>/members/<uuid:user_id>/role/", page("teams", "change_role"), name="member-role"),
    path(
        "teams/<slug:name>/members/<uuid:user_id>/removal/",
        page("teams", "remove_member"),
        name="member-removal",
    ),
    # apps
    path("apps/", page("apps", "index"), name="apps"),
    path("apps/new/", page("apps", "new"), name="app-new"),
    path("apps/<slug:name>/", page("app", "overview"), name="app"),
    path("apps/<slug:name>/card/", page("board", "card"), name="card"),
    path("apps/<slug:name>/resources/", page("resources", "resources"), name="app-resources"),
    path("apps/<slug:name>/deploy/", page("deploy", "deploy"), name="app-deploy"),
    path("apps/<slug:name>/releases/", page("releases", "index"), name="app-releases"),
    path("apps/<slug:name>/releases/<int:version>/", page("releases", "show"), name="release"),
    path("apps/<slug:name>/builds/<uuid:build_id>/", page("builds", "show"), name="build"),
    path("apps/<slug:name>/config/", page("config", "config"), name="app-config"),
    path("apps/<slug:name>/logs/", page("logs", "logs"), name="app-logs"),
    path("apps/<slug:name>/activity/", page("app_activity", "activity"), name="app-activity"),
    path("apps/<slug:name>/access/", page("app_access", "access"), name="app-access"),
    path("apps/<slug:name>/settings/", page("app_settings", "settings"), name="app-settings"),
    path("account/tokens/", page("tokens", "tokens"), name="tokens"),
]
