"""Add-ons that come with a place: those that apps of a stage get of their own, and those of the pipeline's own that
they share."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from django.db import transaction

from accounts.models import User
from addons import actions, attachments, catalog, naming
from addons.models import Addon, Attachment, Plan
from apps.models import App
from core import activity, live
from core.errors import Refusal
from pipelines import balancing
from pipelines.models import Coupling, Pipeline, SharedAddon, Stage

T = TypeVar("T")
MOST = 10  # add-ons that a stage gives


def checked(plans: Sequence[str]) -> list[str]:
    """The full names of these plans; `Refusal` for what is none, and for more than a stage gives."""
    if len(plans) > MOST:
        raise Refusal(f"A stage gives {MOST} add-ons at most.", fields={"addons": f"{MOST} at most."})
    try:
        return [catalog.plan_called(plan).full_name for plan in dict.fromkeys(plans)]
    except Refusal as refusal:
        refusal.fields = {"addons": refusal.message}
        raise


def give(app: App, stage: Stage, *, by: User) -> None:
    """Order what the app lacks of the stage's default add-ons, a service that it uses already aside, and attach what
    the pipeline shares there. What can't be had now is left out, and told in the activity: the app comes all the
    same. Call it in the transaction that puts the app there."""
    have = set(Attachment.objects.filter(app=app).values_list("addon__plan__service__name", flat=True))
    for name in stage.addons:
        if name.partition(":")[0] not in have:
            _try(app, name, by, partial(_order, app, name, by=by))
    if not Coupling.objects.filter(app=app, inherits=True).exists():
        return
    rows = SharedAddon.objects.filter(addon__pipeline=stage.pipeline_id).select_related("addon")
    here = [shared for shared in rows if shared.stage_id in (None, stage.pk)]
    attached = [row for shared in here if (row := _attach(shared, app, by=by, settles=False))]
    attachments.settle_all(app, attached, by=by)


def take_away(app: App, pipeline: Pipeline, *, stage: Stage | None = None, by: User) -> None:
    """Detach what the pipeline shared and the app has no claim to any more, now that it is in `stage`, or gone."""
    rows = SharedAddon.objects.filter(addon__pipeline=pipeline)
    kept = [shared.addon_id for shared in rows if stage and shared.stage_id in (None, stage.pk)]
    _detach(Attachment.objects.filter(app=app, addon__pipeline=pipeline).exclude(addon__in=kept), by=by)


@transaction.atomic
def share(
    pipeline: Pipeline, plan: Plan, *, stage: Stage | None = None, name: str = "", as_: str = "", by: User
) -> SharedAddon:
    """Order an add-on that belongs to the pipeline, attached to every app of `stage`, or of all stages: also to those
    that join later. An app that uses the name already is left out, and that is told in its activity."""
    if not (plan.service.sharable and plan.service.of_pipelines):
        raise Refusal(
            f"{plan.service.human_name} can't be shared between apps.", fields={"plan": "It can't be shared."}
        )
    addon = actions.order_for_pipeline(pipeline, plan, name=name, by=by)
    if balancing.is_one(addon):
        balancing.give_address(addon, pipeline)
    return share_with(addon, stage=stage, as_=as_, by=by)


@transaction.atomic
def share_with(addon: Addon, *, stage: Stage | None = None, as_: str = "", by: User) -> SharedAddon:
    """Have an add-on of a pipeline's own attached to every app of `stage`, or of all stages, and to no others."""
    addon, pipeline = actions.locked(addon), addon.owner
    called = naming.check_attachment_name(as_) if as_ else addon.service.first_name
    if addon.state in attachments.GOING:
        raise Refusal(f"{addon.name} is {addon.get_state_display()}: it can't be shared.")
    balancing.demand_stage(addon, stage)
    shared, _ = SharedAddon.objects.update_or_create(addon=addon, defaults={"stage": stage, "name": called})
    couplings = Coupling.objects.filter(pipeline=pipeline, inherits=True).select_related("app")
    apps = [row.app for row in (couplings.filter(stage=stage) if stage else couplings)]
    _detach(Attachment.objects.filter(addon=addon).exclude(app__in=apps, name=called), by=by)
    for app in apps:
        _attach(shared, app, by=by)
    activity.record(by, "shared", addon, pipeline=pipeline, what=stage.title if stage else "every stage")
    live.tell(pipeline.topic)
    return shared


@transaction.atomic
def stop_sharing(addon: Addon, *, by: User) -> None:
    """Detach an add-on of a pipeline's own from every app. It stays, with what it holds."""
    addon = actions.locked(addon)
    SharedAddon.objects.filter(addon=addon).delete()
    _detach(Attachment.objects.filter(addon=addon), by=by)
    activity.record(by, "stopped sharing", addon, pipeline=addon.owner)
    live.tell(addon.owner.topic)


def stage_called(pipeline: Pipeline, name: str) -> Stage | None:
    """The stage to share with; None, for every stage, where there is no name. `Refusal` for one that is not there."""
    found = pipeline.stages.filter(name=name).first() if name else None
    if name and found is None:
        raise Refusal(f"{pipeline.name} has no stage {name[:60]}.", fields={"stage": "No such stage."})
    return found


def demand_none_of_its_own(pipeline: Pipeline) -> None:
    """`Refusal` while the pipeline owns an add-on: it would be lost sight of."""
    owned = list(Addon.objects.filter(pipeline=pipeline).values_list("name", flat=True))
    if owned:
        raise Refusal(
            f"{pipeline.name} has add-ons of its own: {', '.join(owned)}. Destroy them first.",
            fields={"confirm": f"Destroy its add-ons first: {', '.join(owned)}."},
        )


def _detach(rows: Any, *, by: User) -> None:
    """Take these attachments away, with one release of each app."""
    found = list(rows.select_related("addon", "app").order_by("app", "name"))
    for row in found:
        activity.record(by, "detached", row, app=row.app, from_=row.addon.name)
        row.delete()
    for _, some in groupby(found, key=lambda row: row.app_id):
        of_app = list(some)
        names = ", ".join(f"{row.name} (@ref:{row.addon.name})" for row in of_app)
        attachments.settle(of_app[0].app, f"Detach {names}", by=by)
        live.tell(of_app[0].app.topic)


def _order(app: App, plan: str, *, by: User) -> Addon:
    return actions.provision(app, catalog.plan_called(plan), by=by)


def _attach(shared: SharedAddon, app: App, *, by: User, settles: bool = True) -> Attachment | None:
    if shared.addon.state in attachments.GOING or app.attachments.filter(addon=shared.addon_id).exists():
        return None
    addon = Addon.objects.whole().get(pk=shared.addon_id)
    return _try(
        app,
        addon.name,
        by,
        lambda: attachments.attach(addon, app, as_=shared.name, by=by, settles=settles),
    )


def _try(app: App, what: str, by: User, deed: Callable[[], T]) -> T | None:
    try:
        with transaction.atomic():
            return deed()
    except Refusal as refusal:
        activity.record(by, "could not add an add-on to", app, what=f"{what}: {refusal.message}"[:300])
        return None
