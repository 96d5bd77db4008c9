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
    path("pipelines/<slug:name>/couplings/<slug:app_name>/", page("board", "coupling"), name="coupling"),
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
    path("apps/<slug:name>/card/menu/", page("board", "card_menu"), name="card-menu"),
    # what runs
    path("apps/<slug:name>/resources/", page("resources", "resources"), name="app-resources"),
    path("apps/<slug:name>/formation/", page("resources", "scale"), name="app-formation"),
    path("apps/<slug:name>/restarts/", page("resources", "restart"), name="app-restarts"),
    path("apps/<slug:name>/dynos/", page("resources", "run"), name="app-dynos"),
    path("apps/<slug:name>/dynos/<str:dyno>/removal/", page("resources", "stop"), name="dyno-removal"),
    # how code gets there
    path("apps/<slug:name>/deploy/", page("deploy", "deploy"), name="app-deploy"),
    path("apps/<slug:name>/sources/", page("deploy", "upload"), name="sources"),
    path("apps/<slug:name>/builds/", page("deploy", "build_again"), name="builds"),
    path("apps/<slug:name>/builds/<uuid:build_id>/", page("builds", "show"), name="build"),
    path(
        "apps/<slug:name>/builds/<uuid:build_id>/cancellation/",
        page("builds", "cancel"),
        name="build-cancellation",
    ),
    path("apps/<slug:name>/releases/", page("releases", "index"), name="app-releases"),
    path("apps/<slug:name>/releases/compare/", page("releases", "compare"), name="releases-compare"),
    path("apps/<slug:name>/releases/<int:version>/", page("releases", "show"), name="release"),
    path("apps/<slug:name>/rollbacks/new/", page("releases", "new_rollback"), name="rollback-new"),
    path("apps/<slug:name>/rollbacks/", page("releases", "rollback"), name="rollbacks"),
    # config vars
    path("apps/<slug:name>/config/", page("config", "config"), name="app-config"),
    path("apps/<slug:name>/config/vars/", page("config", "save"), name="config-vars"),
    path("apps/<slug:name>/config/vars/<str:key>/value/", page("config", "reveal"), name="config-value"),
    path("apps/<slug:name>/config/vars/<str:key>/edit/", page("config", "edit"), name="config-edit"),
    path("apps/<slug:name>/config/vars/<str:key>/removal/", page("config", "unset"), name="config-removal"),
    path("apps/<slug:name>/config/file/", page("config", "file"), name="config-file"),
    path("apps/<slug:name>/config/file/values/", page("config", "open_file"), name="config-values"),
    path("apps/<slug:name>/config/file/preview/", page("config", "preview"), name="config-preview"),
    path("apps/<slug:name>/config/file/save/", page("config", "save_file"), name="config-file-save"),
    # what was said and done
    path("apps/<slug:name>/logs/", page("logs", "logs"), name="app-logs"),
    path("apps/<slug:name>/logs/text/", page("logs", "text"), name="app-logs-text"),
    path("apps/<slug:name>/activity/", page("app_activity", "activity"), name="app-activity"),
    # who may what
    path("apps/<slug:name>/access/", page("app_access", "access"), name="app-access"),
    path("apps/<slug:name>/collaborators/", page("app_access", "share"), name="collaborators"),
    path(
        "apps/<slug:name>/collaborators/<uuid:collaborator_id>/rights/",
        page("app_access", "change"),
        name="collaborator-rights",
    ),
    path(
        "apps/<slug:name>/collaborators/<uuid:collaborator_id>/removal/",
        page("app_access", "unshare"),
        name="collaborator-removal",
    ),
    # settings of an app
    path("apps/<slug:name>/settings/", page("app_settings", "settings"), name="app-settings"),
    path("apps/<slug:name>/name/", page("app_settings", "rename"), name="app-name"),
    path("apps/<slug:name>/buildpacks/", page("app_settings", "buildpacks"), name="app-buildpacks"),
    path("apps/<slug:name>/health/", page("app_settings", "health"), name="app-health"),
    path("apps/<slug:name>/maintenance/", page("app_settings", "maintenance"), name="app-maintenance"),
    path("apps/<slug:name>/domains/", page("app_settings", "add_domain"), name="domains"),
    path(
        "apps/<slug:name>/domains/<uuid:domain_id>/removal/",
        page("app_settings", "remove_domain"),
        name="domain-removal",
    ),
    path("apps/<slug:name>/owner/", page("app_settings", "transfer"), name="app-owner"),
    path("apps/<slug:name>/removal/", page("app_settings", "destroy"), name="app-removal"),
    # the viewer's own account
    path("account/", page("account", "account"), name="account"),
    path("account/name/", page("account", "rename"), name="account-name"),
    path("account/password/", page("account", "password"), name="account-password"),
    path("account/tokens/", page("tokens", "tokens"), name="tokens"),
    path("account/tokens/new/", page("tokens", "create"), name="token-new"),
    path("account/tokens/<uuid:token_id>/removal/", page("tokens", "revoke"), name="token-removal"),
]
