"""Which app uses which add-on, and under which name. The config vars follow from it, all at once and in one release."""

from collections.abc import Iterable

from django.db import IntegrityError, transaction

from accounts.access import demand_not_suspended
from accounts.models import User
from addons import naming
from addons.models import Addon, Attachment
from apps.models import App, ConfigVar
from core import activity, changes, live
from core.changes import Change
from core.errors import Conflict, Refusal
from releases.actions import Attached, set_attached
from releases.models import Release

GOING = (Addon.State.DEPROVISIONING, Addon.State.FAILED)


@transaction.atomic
def attach(
    addon: Addon,
    app: App,
    *,
    as_: str = "",
    credential: str = "",
    confirm: str = "",
    by: User | None,
    settles: bool = True,
) -> Attachment:
    """Have `app` use the add-on, as `as_` or under a name that is free, with one of the add-on's credentials.

    Its config vars come with one release, once the add-on is ready. What has the name already gives way when `confirm`
    is the app's name, and keeps another name if it would be lost otherwise; `Refusal` without that. Who attaches several
    at once leaves the release to `settle_all`, with `settles=False`.
    """
    lock(app)
    demand_not_suspended(app)
    _check(addon, app, credential)
    name = naming.check_attachment_name(as_) if as_ else naming.free_attachment_name(app, addon.service)
    attachment = Attachment(addon=addon, app=app, name=name, namespace=_namespace(credential))
    gone = _make_room(attachment, confirm, by=by)
    save(attachment)
    activity.record(by, "attached", attachment, app=app, to=addon.name)
    if settles and (addon.config_keys or gone is not None):
        settle(app, "; ".join([f"Attach {name} (@ref:{addon.name})", *(gone or [])]), by=by)
    live.tell(app.topic)
    return attachment


@transaction.atomic
def detach(attachment: Attachment, *, by: User) -> None:
    """Have the app use the add-on no more, under this name. The last attachment stays as long as the add-on does."""
    addon, app = attachment.addon, attachment.app
    lock(app)
    Addon.objects.select_for_update().get(pk=addon.pk)
    if not Attachment.objects.filter(addon=addon).exclude(pk=attachment.pk).exists():
        raise Refusal(
            f"{attachment.name} is the last attachment of {addon.name}. Destroy the add-on instead, or attach it to "
            "another app first."
        )
    activity.record(by, "detached", attachment, app=app, from_=addon.name)
    attachment.delete()
    settle(app, f"Detach {attachment.name} (@ref:{addon.name})", by=by)
    live.tell(app.topic)


def promote(addon: Addon, app: App, *, by: User) -> Attachment:
    """Have the name that the code reads, `DATABASE` for a database, mean this add-on on `app`. What had the name
    keeps another one."""
    name = addon.service.first_name
    if Attachment.objects.filter(app=app, addon=addon, name=name, namespace="").exists():
        raise Refusal(f"{addon.name} is {name} of {app.name} already.")
    return attach(addon, app, as_=name, confirm=app.name, by=by)


def settle(app: App, description: str, *, by: User | None, skips_phase: bool = False) -> Release | None:
    """Make the config vars that add-ons set what the app's attachments say, in one release; None for an app that is
    going away. Call it in the transaction of the change."""
    if App.objects.filter(pk=app.pk, destroyed_at__isnull=False).exists():
        return None
    return set_attached(app, wanted(app), by=by, description=description, skips_phase=skips_phase)


def settle_all(app: App, attached: Iterable[Attachment], *, by: User | None) -> None:
    """Bring the config vars of what was attached at once, with one release; none where no add-on of them is ready."""
    ready = [row for row in attached if row.addon.config_keys]
    if ready:
        names = ", ".join(f"{row.name} (@ref:{row.addon.name})" for row in ready)
        settle(app, f"Attach {names}", by=by)


def wanted(app: App) -> dict[str, Attached]:
    """The config vars that the app's attachments make: the one place where they are derived."""
    rows = (
        Attachment.objects.filter(app=app)
        .select_related("addon__plan__service")
        .order_by("created_at", "name")
    )
    found: dict[str, Attached] = {}
    for row in rows:
        for key, value in row.values(row.addon.config).items():
            found.setdefault(key, Attached(value, row.pk, row.addon.name))
    return found


def lock(app: App) -> None:
    """Have changes of one app's attachments take turns."""
    App.objects.select_for_update().get(pk=app.pk)


def save(attachment: Attachment) -> None:
    """Write a new attachment; `Conflict` when somebody was faster with its name."""
    try:
        with transaction.atomic():
            attachment.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(f"{attachment.app.name} has an attachment {attachment.name} already.") from error


def _check(addon: Addon, app: App, credential: str) -> None:
    if addon.state in GOING:
        raise Refusal(
            f"{addon.name} can't be attached: it {'failed' if addon.state == 'failed' else 'is being removed'}."
        )
    if not addon.service.sharable and addon.app_id != app.pk:
        raise Refusal(f"{addon.service.human_name} can't be shared between apps.")
    if credential and credential not in addon.config_keys:
        raise Refusal(
            f"{addon.name} has no credential {credential[:60]}.", fields={"credential": "No such credential."}
        )


def _namespace(credential: str) -> str:
    return f"credential:{credential}" if credential else ""


def _make_room(attachment: Attachment, confirm: str, *, by: User | None) -> list[str] | None:
    """Free the name and the config vars of `attachment`, if that is agreed to. None when nothing had to give way, else
    what the release has to say of it: `heroku pg:promote` looks for the detached name among the newest releases."""
    app = attachment.app
    before = (
        Attachment.objects.filter(app=app, name=attachment.name)
        .select_related("addon__plan__service")
        .first()
    )
    if before and (before.addon_id, before.namespace) == (attachment.addon_id, attachment.namespace):
        raise Refusal(f"{before.addon.name} is attached to {app.name} as {before.name} already.")
    _check_keys(attachment, before)
    by_hand = ConfigVar.objects.by_hand().filter(app=app, key__in=attachment.keys)
    in_the_way = [before.addon.name] if before else sorted(by_hand.values_list("key", flat=True))
    if not in_the_way:
        return None
    if confirm != app.name:
        raise Refusal(
            f"{attachment.name} of {app.name} is taken by {', '.join(in_the_way)}. Confirm with the app's name to "
            "replace it, or choose another name.",
            id="confirmation_required",
            fields={"as": f"{attachment.name} is taken by {', '.join(in_the_way)}."},
        )
    if not before:
        return []
    _give_way(before, by=by)
    return [f"Detach {attachment.name} (@ref:{before.addon.name})"]


def _check_keys(attachment: Attachment, before: Attachment | None) -> None:
    others = Attachment.objects.filter(app=attachment.app)
    others = others.exclude(pk=before.pk) if before else others
    taken = {key: row for row in others.select_related("addon__plan__service") for key in row.keys}
    clash = next((taken[key] for key in attachment.keys if key in taken), None)
    if clash:
        raise Refusal(
            f"{attachment.name} would set a config var of {clash.addon.name}. Choose another name.",
            fields={"as": f"Sets a config var of {clash.addon.name}."},
        )


def _give_way(before: Attachment, *, by: User | None) -> None:
    """Take the name from an attachment; one that would be its add-on's last on this app gets another name."""
    addon, app = before.addon, before.app
    others = Attachment.objects.filter(addon=addon, app=app, namespace=before.namespace).exclude(pk=before.pk)
    changes.note(Change(before, "detached", by, app.pk))
    if others.exists():
        before.delete()
        return
    spare = naming.free_attachment_name(app, addon.service)
    Attachment.objects.filter(pk=before.pk).update(name=spare)


def told(attachments: Iterable[Attachment], addon: Addon) -> str:
    """What a release says of attachments that come or go together: “DATABASE, FOLLOWER (@ref:postgresql-…)”."""
    names = ", ".join(sorted(row.name for row in attachments))
    return f"{names} (@ref:{addon.name})"
