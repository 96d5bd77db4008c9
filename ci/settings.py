"""When a pipeline's tests run, and the config vars that they get."""

from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from ci.models import CiSettings, CiVar
from core import activity, live, names
from core.errors import NotFound, Refusal
from pipelines.models import Pipeline


def settings_of(pipeline: Pipeline) -> CiSettings:
    """The settings, or those of a pipeline for which nobody has chosen any yet."""
    return CiSettings.objects.filter(pipeline=pipeline).first() or CiSettings(pipeline=pipeline)


@transaction.atomic
def set_settings(pipeline: Pipeline, *, on_push: bool, supersede: bool, by: User) -> CiSettings:
    """Say when tests run. From then on they run in the name of `by`."""
    before = settings_of(pipeline)
    after, _ = CiSettings.objects.update_or_create(
        pipeline=pipeline, defaults={"on_push": on_push, "supersede": supersede, "by": by}
    )
    if (before.on_push, before.supersede) != (on_push, supersede):
        told = {"on_push": on_push, "supersede": supersede}
        activity.record(by, "set when tests run in", pipeline, **told)
        live.tell(pipeline.topic)
    return after


def config_of(pipeline: Pipeline) -> dict[str, str]:
    """The config vars of test runs, in plain, for the runs."""
    return {var.key: var.value for var in CiVar.objects.filter(pipeline=pipeline)}


@transaction.atomic
def set_vars(pipeline: Pipeline, changes: Mapping[str, str | None], *, by: User) -> dict[str, str]:
    """Set (text) or unset (None) config vars of test runs, all or nothing; those that start from now on get them.
    Returns all that there are."""
    for key in changes:
        names.check_config_key(key)
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    before = config_of(pipeline)
    values = {**before, **changes}
    after = {key: value for key, value in values.items() if value is not None}
    _check_size(after)
    for key, value in changes.items():
        if value is None:
            CiVar.objects.filter(pipeline=pipeline, key=key).delete()
        elif before.get(key) != value:
            _write(pipeline, key, value, by)
    changed = sorted(key for key in changes if before.get(key) != changes[key])
    if changed:
        activity.record(by, "changed the test config of", pipeline, keys=changed)
        live.tell(pipeline.topic)
    return after


@transaction.atomic
def reveal(pipeline: Pipeline, key: str, *, by: User) -> str:
    """The value of one, for `by` to see, which is noted."""
    var = CiVar.objects.filter(pipeline=pipeline, key=key).first()
    if var is None:
        raise NotFound(f"Test runs of {pipeline.name} have no config var {key}.", resource="config_var")
    activity.record(by, "revealed the test config of", pipeline, keys=[key])
    return var.value


@transaction.atomic
def reveal_all(pipeline: Pipeline, *, by: User) -> dict[str, str]:
    """All values, for `by` to see, which is noted."""
    values = config_of(pipeline)
    if values:
        activity.record(by, "revealed the test config of", pipeline, keys=sorted(values))
    return values


def _write(pipeline: Pipeline, key: str, value: str, by: User) -> None:
    var = CiVar(pipeline=pipeline, key=key)
    var.value = value
    written = {"sealed": var.sealed, "set_by": by, "set_at": timezone.now()}
    CiVar.objects.update_or_create(pipeline=pipeline, key=key, defaults=written)


def _check_size(values: Mapping[str, str]) -> None:
    total = sum(len(key.encode()) + len(value.encode()) for key, value in values.items())
    if total > settings.CONFIG_BYTES:
        raise Refusal(
            f"Config vars would take {total:,} bytes together; {settings.CONFIG_BYTES:,} is the limit.",
            fields={"value": "Too large."},
        )
    if any("\0" in value for value in values.values()):
        raise Refusal("A config var can't hold a NUL character.", fields={"value": "Holds a NUL character."})
