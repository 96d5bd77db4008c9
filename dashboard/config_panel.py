"""What the page of config vars shows: names, where each value comes from, and what changing one does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Subquery

from accounts.models import User
from apps import access
from apps.models import App, ConfigVar
from dashboard import panels
from pipelines import layers
from pipelines.access import hiding_from
from pipelines.models import Coupling, Stage
from releases.models import Release

MISSING_SHOWN = 5


@dataclass(frozen=True)
class Missing:
    """Names that an app of the stage before has and this one lacks."""

    keys: list[str]
    more: int
    app: App
    stage: str


def config(app: App, user: User) -> dict[str, Any]:
    """The names of the config vars, who set each and when, and what saving one will do."""
    framed = panels.frame(app, user, "config")
    effects = panels.consequences(app)
    rows = ConfigVar.objects.filter(app=app).select_related("set_by").defer("sealed")
    variables = list(layers.with_below(rows))
    _place(variables, app)
    return {
        **framed,
        **effects,
        "variables": variables,
        "missing": _missing(framed["coupling"], effects["current"], {var.key for var in variables}, user),
    }


def row(app: App, user: User, var: ConfigVar) -> dict[str, Any]:
    """One line of that table; `var` has come by `layers.with_below`."""
    _place([var], app)
    return {**panels.frame(app, user, "config"), **panels.consequences(app), "var": var}


def _place(variables: Sequence[ConfigVar], app: App) -> None:
    """Say of each which add-on it comes from."""
    attached = {attachment.pk: attachment.addon for attachment in panels.attachments(app)}
    for var in variables:
        var.addon = attached.get(var.attachment_id)  # type: ignore[attr-defined]


def _missing(coupling: Coupling | None, current: Release | None, own: set[str], user: User) -> Missing | None:
    """What the code that will be promoted here may need: of the apps of the stage before that run code from the same
    place, the first that has names which this one lacks."""
    if coupling is None or current is None or current.slug is None:
        return None
    stages = Stage.objects.filter(pipeline=coupling.pipeline_id, position__lt=coupling.stage.position)
    alike = access.apps_for(user).filter(
        coupling__stage=Subquery(stages.order_by("-position").values("pk")[:1]),
        coupling__stage__word__in=(Stage.Word.DEVELOPMENT, Stage.Word.STAGING),
        releases__current=True,
        releases__slug__app=current.slug.app_id,
    )
    apps = [
        app
        for app in access.with_rights(alike.select_related("coupling__stage"), user)
        if access.DEPLOY in access.rights_found(user, app, app)
    ]
    if not apps:
        return None
    hidden = hiding_from(user, apps)
    rows = ConfigVar.objects.filter(app__in=[app for app in apps if app.pk not in hidden])
    lacking = rows.exclude(key__in=own).values_list("app_id", "key")
    return _first(apps, list(lacking))


def _first(apps: list[App], lacking: list[tuple[Any, str]]) -> Missing | None:
    for app in apps:
        keys = sorted(key for of, key in lacking if of == app.pk)
        if keys:
            return Missing(
                keys[:MISSING_SHOWN], max(len(keys) - MISSING_SHOWN, 0), app, app.coupling.stage.title
            )
    return None
