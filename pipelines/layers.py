"""The layers of config below an app's own: what its stage gives it, and below that what its pipeline does.

They are inherited live: a change makes one release on each app that it changes something for, and on no other.
"""

from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Exists, OuterRef, Q, Value, When
from django.utils import timezone

from accounts.models import User
from apps import access as app_access
from apps.models import App, ConfigVar, ConfigVarQuerySet
from core import activity, live, names
from core.errors import Forbidden, NotFound, Refusal
from pipelines.models import Coupling, LayerVar, Pipeline, PipelineVar, Stage, StageVar
from releases.actions import describe, inherit
from releases.layers import Inherited

Place = Stage | Pipeline
STAGE, PIPELINE = ConfigVar.Layer.STAGE, ConfigVar.Layer.PIPELINE


def inherited(place: App | Stage) -> dict[str, Inherited]:
    """What an app inherits, or what the apps of a stage do: the stage's config vars over the pipeline's. Nothing where
    the app is in no pipeline, or a stranger's code runs in it (I-40)."""
    if isinstance(place, App):
        coupling = Coupling.objects.filter(app=place, inherits=True).select_related("stage__pipeline").first()
        if coupling is None:
            return {}
        place = coupling.stage
    of_pipeline = PipelineVar.objects.filter(pipeline=place.pipeline_id)
    of_stage = StageVar.objects.filter(stage=place)
    below = {var.key: Inherited(var.value, PIPELINE, f"all of {place.pipeline.name}") for var in of_pipeline}
    return below | {var.key: Inherited(var.value, STAGE, place.title) for var in of_stage}


def with_below(rows: ConfigVarQuerySet) -> ConfigVarQuerySet:
    """`rows`, each with the layer whose value the app would get without its own, as `below`; empty for none. For pages,
    which tell no value: without a query of its own."""
    inheriting = Coupling.objects.filter(app=OuterRef(OuterRef("app")), inherits=True)
    of_stage = StageVar.objects.filter(key=OuterRef("key"), stage__in=inheriting.values("stage"))
    of_pipeline = PipelineVar.objects.filter(key=OuterRef("key"), pipeline__in=inheriting.values("pipeline"))
    layer = Case(
        When(~Q(layer=""), then=Value("")),
        When(Exists(of_stage), then=Value(str(STAGE))),
        When(Exists(of_pipeline), then=Value(str(PIPELINE))),
        default=Value(""),
    )
    return rows.annotate(below=layer)


@transaction.atomic
def set_vars(place: Place, changes: Mapping[str, str | None], *, by: User) -> None:
    """Set (text) or unset (None) any number of config vars of a stage, or of a whole pipeline: all or nothing, one
    release on each app that inherits another value by it. `Forbidden` when `by` may not deploy one of those."""
    place = _locked(place)
    for key in changes:
        names.check_config_key(key)
    found = {var.key: var for var in _rows(place)}
    before = {key: var.value for key, var in found.items()}
    changed = {key: value for key, value in changes.items() if before.get(key) != value}
    _check_size({**before, **changed})
    for key, value in changed.items():
        if value is None:
            found[key].delete()
            continue
        var = found.get(key) or _new(place, key)
        var.value, var.set_by, var.set_at = value, by, timezone.now()
        var.save()
    if not changed:
        return
    words = {
        key: "removed" if value is None else "changed" if key in found else "added"
        for key, value in changed.items()
    }
    activity.record(by, "changed config of", place, pipeline=_pipeline(place), keys=words)
    live.tell(_pipeline(place).topic)
    _spread(place, f"{_title(place)}: {describe(changed)}", by=by)


@transaction.atomic
def reveal(place: Place, key: str, *, by: User) -> str:
    """The value of a config var of a stage or a pipeline, for `by` to see, which is noted."""
    var = _rows(place).filter(key=key).first()
    if var is None:
        raise NotFound(f"{_title(place)} has no config var {key[:80]}.", resource="config_var")
    activity.record(by, "revealed config of", place, pipeline=_pipeline(place), keys=[key])
    return var.value


@transaction.atomic
def reveal_all(place: Place, *, by: User) -> dict[str, str]:
    """All values of a stage's or a pipeline's own, for `by` to see, which is noted."""
    values = {var.key: var.value for var in _rows(place)}
    if values:
        activity.record(by, "revealed config of", place, pipeline=_pipeline(place), keys=sorted(values))
    return values


def bring(app: App, description: str, *, by: User) -> None:
    """Have the app inherit what it should where it is now, in one release if that changes anything for it. Call it in
    the transaction that put it there, or took it away."""
    inherit(app, by=by, description=description)


def leave(app: App) -> None:
    """Make what the app inherits its own, as it is: where it inherited it from goes away, and its values stay."""
    ConfigVar.objects.filter(app=app).exclude(layer="").update(layer="")


def behind(place: Place) -> list[App]:
    """The apps that inherit from a stage, or from a pipeline."""
    rows = Coupling.objects.filter(inherits=True, app__destroyed_at=None)
    rows = rows.filter(stage=place) if isinstance(place, Stage) else rows.filter(pipeline=place)
    return [row.app for row in rows.select_related("app").order_by("app_id")]


def _spread(place: Place, description: str, *, by: User) -> None:
    """Bring a change to all that it concerns. The rights in an app are asked for, whoever owns the pipeline: what its
    dynos are told can change what they do as much as code can."""
    apps = behind(place)
    deployable = {
        row.pk
        for row in app_access.with_rights(App.objects.filter(pk__in=[app.pk for app in apps]), by)
        if app_access.DEPLOY in app_access.rights_found(by, row, row)
    }
    for app in apps:
        release = inherit(app, by=by, description=description)
        if release is not None and app.pk not in deployable:
            raise Forbidden(_not_yours(app, by))


def _not_yours(app: App, by: User) -> str:
    if app_access.apps_for(by).filter(pk=app.pk).exists():
        return f"You may not deploy {app.name}, which would get another value by this. Ask who manages it."
    return "An app that you may not see would get another value by this. Ask who put it into the pipeline."


def _locked(place: Place) -> Place:
    """The place as it is now. Its stages stay locked until the transaction ends, so that no app comes or goes."""
    stages = Stage.objects.select_for_update().order_by("pk")
    stages = stages.filter(pk=place.pk) if isinstance(place, Stage) else stages.filter(pipeline=place)
    rows = list(stages.select_related("pipeline"))
    if not rows:
        raise NotFound("Couldn't find that stage.", resource="stage")
    return rows[0] if isinstance(place, Stage) else rows[0].pipeline


def _rows(place: Place):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """The config vars of the place itself."""
    if isinstance(place, Stage):
        return StageVar.objects.filter(stage=place)
    return PipelineVar.objects.filter(pipeline=place)


def _new(place: Place, key: str) -> LayerVar:
    return (
        StageVar(stage=place, key=key) if isinstance(place, Stage) else PipelineVar(pipeline=place, key=key)
    )


def _pipeline(place: Place) -> Pipeline:
    return place.pipeline if isinstance(place, Stage) else place


def _title(place: Place) -> str:
    return place.title if isinstance(place, Stage) else f"All of {place.name}"


def _check_size(values: Mapping[str, str | None]) -> None:
    kept = {key: value for key, value in values.items() if value is not None}
    if any("\0" in value for value in kept.values()):
        raise Refusal("A config var can't hold a NUL character.", fields={"value": "Holds a NUL character."})
    total = sum(len(key.encode()) + len(value.encode()) for key, value in kept.items())
    if total > settings.CONFIG_BYTES:
        text = f"They would take {total:,} bytes together; {settings.CONFIG_BYTES:,} is the limit."
        raise Refusal(text, fields={"value": text})
