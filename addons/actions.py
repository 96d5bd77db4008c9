"""What happens to add-ons: they are ordered, change their plan or name, and go. Who makes them is asked by the
conductor; what apps get of them is in `addons.attachments`."""

import secrets as random
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from django.db import transaction

from accounts.access import demand_not_suspended
from accounts.models import User
from addons import attachments, catalog, naming, transfers
from addons.models import Addon, AddonService, Attachment, Plan
from apps import drains
from apps.models import App, ConfigVar
from core import activity, changes, live
from core.changes import Change
from core.errors import Conflict, Refusal

MAX_ADDONS = 50  # of one app or pipeline
MAX_OPTIONS = 30
COPIES = {"fork", "follow", "rollback"}  # what makes a database of Heroku's begin with the content of another


@transaction.atomic
def provision(
    app: App,
    plan: Plan,
    *,
    name: str = "",
    as_: str = "",
    options: Mapping[str, str] | None = None,
    confirm: str = "",
    by: User | None,
) -> Addon:
    """Order an add-on for `app`, attached as `as_` or under a name that is free. The conductor has it made; then its
    config vars come with one release. `confirm` is as for `attachments.attach`."""
    demand_not_suspended(app)
    attachments.lock(app)
    if not plan.service.several and Addon.objects.filter(app=app, plan__service=plan.service).exists():
        raise Refusal(
            f"{app.name} has {plan.service.human_name} already. Change the plan of the one it has.",
            fields={"plan": f"{app.name} has one already."},
        )
    addon = _order(plan, name=name, options=options or {}, by=by, app=app)
    attachments.attach(addon, app, as_=as_, confirm=confirm, by=by)
    return addon


def order_for_pipeline(
    pipeline: Any, plan: Plan, *, name: str = "", options: Mapping[str, str] | None = None, by: User
) -> Addon:
    """Order an add-on that belongs to a pipeline. Which apps it is attached to is the pipeline's to say."""
    return _order(plan, name=name, options=options or {}, by=by, pipeline=pipeline)


def _order(
    plan: Plan,
    *,
    name: str,
    options: Mapping[str, str],
    by: User | None,
    app: App | None = None,
    pipeline: Any = None,
) -> Addon:
    catalog.demand_available(plan, for_app=app is not None)
    owned = Addon.objects.filter(app=app) if app else Addon.objects.filter(pipeline=pipeline)
    if owned.count() >= MAX_ADDONS:
        raise Refusal(f"{app or pipeline} has {MAX_ADDONS} add-ons, which is the most.")
    addon = Addon(
        app=app,
        pipeline=pipeline,
        plan=plan,
        name=naming.check_addon_name(name) if name else naming.free_addon_name(plan.service),
        options=_checked(options, plan.service.name),
        state=Addon.State.PROVISIONING,
        by=by,
    )
    addon.secret = random.token_urlsafe(32)
    addon.save(force_insert=True)
    ask(addon, ["provision"])
    activity.record(by, "created", addon, app=app, pipeline=pipeline, what=plan.full_name)
    return addon


def _checked(options: Mapping[str, Any], service: str) -> dict[str, str]:
    made = {str(key): str(value) for key, value in options.items()}
    if service == transfers.POSTGRESQL and made.keys() & COPIES:
        raise Refusal(
            "No database here is forked from another or follows one. Create it without that, then copy into it: "
            "heroku pg:copy SOURCE TARGET"
        )
    if len(made) > MAX_OPTIONS or any(len(key) + len(value) > 1000 for key, value in made.items()):
        raise Refusal(f"Give up to {MAX_OPTIONS} options, of 1,000 characters at most.")
    return made


@transaction.atomic
def change_plan(addon: Addon, plan: Plan, *, by: User) -> Addon:
    """Hold the add-on to another plan of its service; what it holds stays."""
    addon = locked(addon)
    if plan.service_id != addon.plan.service_id:
        raise Refusal(
            f"{addon.name} is {addon.service.human_name}: it can't become {plan.service.human_name}.",
            fields={"plan": "Not a plan of this service."},
        )
    if plan.pk == addon.plan_id:
        raise Refusal(f"{addon.name} has the plan {plan.name} already.", fields={"plan": "It has this plan."})
    catalog.demand_available(plan)
    demand_ready(addon)
    addon.state = Addon.State.CHANGING
    Addon.objects.filter(pk=addon.pk).update(state=addon.state)
    ask(addon, ["plan", str(plan.pk)])
    _record(by, "changed the plan of", addon, before=addon.plan.name, after=plan.name)
    return addon


@transaction.atomic
def rename(addon: Addon, name: str, *, by: User) -> Addon:
    """Call the add-on differently. Nothing that apps get of it changes."""
    addon, before = locked(addon), addon.name
    if name == before:
        return addon
    addon.name = naming.check_addon_name(name)
    Addon.objects.filter(pk=addon.pk).update(name=name)
    used = addon.attachments.values("pk")
    ConfigVar.objects.filter(attachment_id__in=used).update(origin=name)
    _record(by, "renamed", addon, before=before, after=name)
    return addon


@transaction.atomic
def destroy(addon: Addon, *, confirm: str, force: bool = False, by: User | None) -> Addon:
    """Give the add-on up, with all that it holds: `confirm` must be its name. Its config vars go at once, in one
    release of each app; then the conductor has it removed. What is attached to other apps goes only with `force`."""
    addon = locked(addon)
    if confirm != addon.name:
        raise Refusal(
            f"To destroy {addon.name}, type its name.",
            id="confirmation_required",
            fields={"confirm": f"Type {addon.name} to confirm."},
        )
    if addon.state == Addon.State.DEPROVISIONING:
        raise Conflict(f"{addon.name} is being removed already.")
    elsewhere = sorted({row.app.name for row in _used(addon) if row.app_id != addon.app_id})
    if elsewhere and not force:
        raise Refusal(
            f"{addon.name} is attached to {', '.join(elsewhere)} as well. Detach it there first, or force it.",
            id="confirmation_required",
            fields={"confirm": f"It is attached to {', '.join(elsewhere)} as well."},
        )
    _record(by, "destroyed", addon)
    remove(addon, by=by)
    return addon


def remove(addon: Addon, *, by: User | None) -> None:
    """Detach it everywhere and have it removed, without asking. Call it in a transaction, with the add-on locked."""
    used = _used(addon)
    transfers.last_backup(addon, by=by)
    for row in used:
        changes.note(Change(row, "detached", by, row.app_id))
    Attachment.objects.filter(addon=addon).delete()
    drains.take_from_addon(addon.pk)
    addon.state = Addon.State.DEPROVISIONING
    Addon.objects.filter(pk=addon.pk).update(state=addon.state, tasks=[])
    addon.tasks = []
    ask(addon, ["deprovision"])
    for _, rows in groupby(used, key=lambda row: row.app_id):
        gone = list(rows)
        attachments.settle(gone[0].app, f"Detach {attachments.told(gone, addon)}", by=by)
        live.tell(gone[0].app.topic)


@transaction.atomic
def give_up(app: App) -> bool:
    """Have the add-ons of an app that is going away removed; whether none of them is left."""
    for addon in Addon.objects.there().filter(app=app):
        remove(locked(addon), by=None)
    return not Addon.objects.filter(app=app).exists()


@transaction.atomic
def try_again(addon: Addon, *, by: User) -> Addon:
    """Have an add-on made that failed to be."""
    addon = locked(addon)
    if addon.state != Addon.State.FAILED:
        raise Conflict(f"{addon.name} has not failed.")
    catalog.demand_available(addon.plan)
    addon.state = Addon.State.PROVISIONING
    Addon.objects.filter(pk=addon.pk).update(state=addon.state, message="")
    ask(addon, ["provision"])
    _record(by, "tried again", addon)
    return addon


# --- what it gives ----------------------------------------------------------------------------------------------------


@transaction.atomic
def create_credential(addon: Addon, name: str, *, by: User) -> Addon:
    """Have the provider make a credential, for apps to be attached with; or make it anew, when there is one: that
    is its rotation, and apps that have it get the new values in one release each."""
    addon = locked(addon)
    demand_ready(addon)
    ask(addon, ["credential", name])
    _record(by, "made a credential of", addon, what=name or "default")
    return addon


@transaction.atomic
def drop_credential(addon: Addon, name: str, *, by: User) -> Addon:
    """Have the provider remove a credential. `Refusal` while an app is attached with it."""
    addon = locked(addon)
    if not name or name not in addon.config_keys:
        raise Refusal(f"{addon.name} has no credential {name[:60]}.")
    using = [row for row in _used(addon) if row.credential == name]
    if using:
        apps = ", ".join(sorted({row.app.name for row in using}))
        raise Refusal(f"{apps} uses the credential {name}. Detach it there first.")
    ask(addon, ["drop_credential", name])
    _record(by, "removed a credential of", addon, what=name)
    return addon


@transaction.atomic
def update_config(
    addon: Addon,
    config: Mapping[str, str],
    *,
    credential: str = "",
    description: str = "",
    by: User | None,
) -> None:
    """Give other values to whoever is attached with this credential: `{suffix: value}`. One release for each app, if
    anything differs; their release command is left out, since only an add-on's own values changed."""
    addon = locked(addon)
    all_config = addon.config
    if all_config.get(credential) == dict(config):
        return
    addon.config = {**all_config, credential: dict(config)}
    Addon.objects.filter(pk=addon.pk).update(sealed_config=addon.sealed_config, config_keys=addon.config_keys)
    using = [row for row in _used(addon) if row.credential == credential]
    publish(addon, using, description or "Update {}", by=by, skips_phase=True)


def publish(
    addon: Addon, rows: Iterable[Attachment], description: str, *, by: User | None, skips_phase: bool = False
) -> None:
    """Bring the config vars of the apps of `rows` up to date, one release each. Call it in a transaction."""
    for _, some in groupby(rows, key=lambda row: row.app_id):
        of_app = list(some)
        text = description.format(attachments.told(of_app, addon))
        attachments.settle(of_app[0].app, text, by=by, skips_phase=skips_phase)
        live.tell(of_app[0].app.topic)


# --- for the others ---------------------------------------------------------------------------------------------------


def locked(addon: Addon) -> Addon:
    """The add-on as it is now; nobody changes it until the transaction ends. The row only: SQL locks no joins."""
    Addon.objects.select_for_update().get(pk=addon.pk)
    found: Addon = Addon.objects.whole().get(pk=addon.pk)
    return found


def demand_ready(addon: Addon) -> None:
    """`Conflict` while something is done to the add-on, `Refusal` when it failed."""
    if addon.state == Addon.State.FAILED:
        raise Refusal(f"{addon.name} failed to be made. Try again, or destroy it.")
    if addon.state != Addon.State.PROVISIONED or addon.tasks:
        doing = addon.get_state_display() if addon.state != Addon.State.PROVISIONED else "being seen to"
        raise Conflict(f"{addon.name} is {doing}. Wait until that is done.")


def ask(addon: Addon, task: list[str]) -> None:
    """Have the conductor see to something. Call it in a transaction, with the add-on locked or new."""
    addon.tasks = [*addon.tasks, task]
    rows = Addon.objects.filter(pk=addon.pk)
    rows.update(tasks=addon.tasks)
    rows.exclude(status=Addon.Status.RUNNING).update(
        status=Addon.Status.PENDING, attempt=0, wake_at=None, finished_at=None, lease_until=None
    )
    tell(addon)
    live.wake_conductor()


def tell(addon: Addon) -> None:
    """Nudge the pages that show it."""
    topics = {row.app.topic for row in _used(addon)} | {addon.owner.topic}
    for topic in topics:
        live.tell(topic)


def used_by(addon: Addon) -> list[Attachment]:
    """Its attachments, app by app."""
    return _used(addon)


def edit_catalog(row: AddonService | Plan, *, changed: list[str], by: User) -> None:
    """Keep what an operator has made of a service or plan: upgrades leave it alone from now on. A service has one
    default plan."""
    row.edited = True
    with transaction.atomic():
        row.save()
        if isinstance(row, Plan) and row.default:
            Plan.objects.filter(service=row.service_id, default=True).exclude(pk=row.pk).update(
                default=False, edited=True
            )
        activity.record(by, "edited", row, what=", ".join(changed))


def _used(addon: Addon) -> list[Attachment]:
    rows = Attachment.objects.filter(addon=addon).select_related("app", "addon__plan__service")
    return list(rows.order_by("app__name", "name"))


def _record(by: User | None, verb: str, addon: Addon, **details: Any) -> None:
    activity.record(by, verb, addon, app=addon.app, pipeline=addon.pipeline, **details)
    tell(addon)
