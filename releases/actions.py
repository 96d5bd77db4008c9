"""What makes builds and releases."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.access import demand_not_suspended
from accounts.models import User
from apps import config_vars, limits, stacks
from apps.models import App, ConfigVar
from core import activity, failpoints, live, names
from core.errors import Conflict, NotFound, Refusal
from engine.stacks import CONTAINER, IMAGE
from releases import doors, layers, remotes, repositories
from releases.checkouts import told_by
from releases.models import OPEN, Build, Release, Slug, Source


@dataclass(frozen=True)
class Attached:
    """A config var that an add-on gives to an app it is attached to."""

    value: str = field(repr=False)
    attachment: UUID
    addon: str  # its name, for people


@transaction.atomic
def create_build(app: App, source: Source, *, by: User | None, clear_cache: bool = False) -> Build:
    """Ask for `source` to be built and released on `app`; `Refusal` where code comes by promotion only."""
    demand_not_suspended(app)
    doors.demand_open(app, by=by)
    limits.demand_builds(app.owner)
    clear_cache |= bool(App.objects.filter(pk=app.pk, purge_cache=True).update(purge_cache=False))
    stack = CONTAINER if source.image else app.stack
    build = Build.objects.create(
        app=app,
        source=source,
        by=by,
        clear_cache=clear_cache,
        buildpacks=app.buildpacks,
        stack=stack,
        command=app.build_command,
    )
    activity.record(
        by,
        "started a build of",
        app,
        build=str(build.pk),
        commit=source.commit or source.ref,
        **({"image": source.image} if source.image else {}),
        **({"from_": source.repository} if source.repository else {}),
    )
    live.show(app.topic)
    live.wake_conductor()
    failpoints.reach("git.build_row")
    return build


@transaction.atomic
def purge_cache(app: App, *, by: User) -> None:
    """Have the next build start without the cache of those before it."""
    App.objects.filter(pk=app.pk).update(purge_cache=True)
    activity.record(by, "purged the build cache of", app)


def create_build_of(app: App, ref: str, *, by: User, clear_cache: bool = False) -> Build:
    """Build a branch, tag or commit that is in the app's own repository. `Refusal` when it has no such thing."""
    found = repositories.find(app, ref.strip())
    if found is None:
        shown = ref.strip()[:40] or "an empty name"
        raise Refusal(
            f"The repository of {app.name} has no branch, tag or commit “{shown}”. Push it first.",
            fields={"ref": "The app's repository has no such branch, tag or commit. Push it first."},
        )
    commit, branch = found
    with transaction.atomic():
        source = Source.objects.create(
            app=app, user=by, ref=(branch or ref.strip())[:255], branch=branch[:255], **told_by(commit)
        )
        return create_build(app, source, by=by, clear_cache=clear_cache)


@transaction.atomic
def create_build_from_git(app: App, *, url: str, ref: str, by: User) -> Build:
    """Build a branch, tag or commit (HEAD when `ref` is empty) of the public git repository at `url`. It is fetched
    when the build begins, and the build fails with the reason if that can't be done."""
    url, ref = remotes.check_url(url), remotes.check_ref(ref)
    source = Source.objects.create(app=app, user=by, repository=url, ref=ref)
    return create_build(app, source, by=by)


@transaction.atomic
def create_build_of_image(app: App, image: str, *, by: User) -> Build:
    """Release a ready-made image, by its name in a registry. It is pulled when the build begins, and what it is then stays:
    a release never changes when the name comes to mean another image."""
    image = image.strip()
    stacks.demand_containers()
    if not IMAGE.fullmatch(image) or len(image) > 250:
        raise Refusal(
            f"“{image[:80]}” is no name of an image. Write it like registry.example.com/team/app:1.2.",
            fields={"image": "Write it like registry.example.com/team/app:1.2."},
        )
    source = Source.objects.create(app=app, user=by, image=image)
    return create_build(app, source, by=by)


def create_release(
    app: App,
    *,
    kind: str,
    description: str,
    by: User | None,
    slug: Slug | None = None,
    note: str = "",
    from_release: Release | None = None,
    skips_phase: bool = False,
) -> Release:
    """Append the next version to the app's ledger, with a snapshot of its config vars, inherited ones and those that
    add-ons set among them, and of its add-ons' plans. Call it in a transaction: the row of the app is locked until that ends, so
    versions have no gap and no twin (I-01)."""
    App.objects.filter(pk=app.pk).update(last_version=F("last_version") + 1)
    app.refresh_from_db(fields=["last_version"])
    before = Release.objects.filter(app=app).order_by("-version").first()
    release = Release(
        app=app,
        version=app.last_version,
        kind=kind,
        description=description[:200],
        note=note[:500],
        by=by,
        slug=slug,
        process_types=slug.process_types if slug else {},
        from_release=from_release,
        skips_phase=skips_phase,
        addon_plans=_addon_plans(app),
    )
    rows = list(ConfigVar.objects.filter(app=app))
    release.config = {var.key: var.value for var in rows}
    release.attached_keys = sorted(var.key for var in rows if var.attachment_id)
    release.inherited_keys = sorted(var.key for var in rows if var.layer)
    release.changed_keys = _difference(before.config if before else {}, release.config)
    release.save(force_insert=True)
    failpoints.reach("release.row")
    activity.record(by, "released", release, app=app, what=description, note=note)
    live.show(app.topic)
    live.wake_conductor()
    return release


def current_slug(app: App) -> Slug | None:
    """The slug that the next config change will run: the current release's, or that of a deploy still on its way."""
    newest = (
        Release.objects.filter(app=app, slug__isnull=False)
        .exclude(status="failed")
        .order_by("-version")
        .first()
    )
    return newest.slug if newest else None


@transaction.atomic
def set_config(
    app: App,
    changes: Mapping[str, str | None],
    *,
    by: User | None,
    description: str = "",
    origin: str = "",
    write_only: bool = False,
) -> Release | None:
    """Set (text) or unset (None) any number of the app's own config vars: all or nothing, one release (I-09). A value
    of its own replaces what it inherits; unset, the inherited one is back.

    `origin` says what gives the values when no person types them; with `write_only` they are never shown again, and
    a var that is write-only stays so. Returns the release, or None when no value would change. `Refusal` for a bad
    name or too much of it.
    """
    for key in changes:
        names.check_config_key(key)
    _lock(app)
    found = {var.key: var for var in ConfigVar.objects.filter(app=app)}
    before = {key: var.value for key, var in found.items()}
    hides = {key for key, var in found.items() if var.layer and write_only}
    asked = {k: v for k, v in changes.items() if before.get(k) != v or k in hides}
    _check_free(app, [found[key] for key in asked if key in found], asked)
    for key, value in asked.items():
        layers.write(app, key, value, by=by, origin=origin)
    brought = layers.bring(app, by=by)
    after = _set({**before, **asked, **brought})
    _check_size(after)
    if write_only:
        config_vars.make_write_only(app, changes.keys(), by=by)
    if not asked:
        return None
    difference = _difference(before, after)
    activity.record(by, "changed config of", app, keys=difference or dict.fromkeys(asked, "inherited"))
    if not difference:
        return None
    failpoints.reach("config.snapshot")
    return create_release(
        app, kind=Release.Kind.CONFIG, description=description or describe(asked, brought), by=by
    )


@transaction.atomic
def inherit(app: App, *, by: User | None, description: str) -> Release | None:
    """Have the app inherit what its stage and its pipeline say now, in one release; None when no value changes for it.
    Call it in the transaction that changes what they say, or where the app is."""
    _lock(app)
    brought = layers.bring(app, by=by)
    if not brought or App.objects.filter(pk=app.pk, destroyed_at__isnull=False).exists():
        return None
    try:
        _check_size({var.key: var.value for var in ConfigVar.objects.filter(app=app)})
    except Refusal as refusal:
        raise Refusal(f"{app.name}: {refusal.message}", fields=refusal.fields) from refusal
    failpoints.reach("config.snapshot")
    return create_release(app, kind=Release.Kind.CONFIG, description=description, by=by)


@transaction.atomic
def replace_config(app: App, values: Mapping[str, str], *, by: User, seen: str) -> Release | None:
    """Have these config vars and no others of the app's own that can be read; write-only ones that are not among them
    stay, and so do those that add-ons set and those that are inherited. `seen` is the `config_vars.stamp` that `values` was made from: `Conflict` when someone has changed them since."""
    _lock(app)
    if config_vars.stamp(app) != seen:
        raise Conflict(
            f"Someone has changed the config vars of {app.name} since you loaded them. Load them again; what you "
            "typed is still here to copy."
        )
    gone = ConfigVar.objects.readable().by_hand().filter(app=app).exclude(key__in=values)
    unset = dict.fromkeys(gone.values_list("key", flat=True))
    return set_config(app, {**unset, **values}, by=by)


@transaction.atomic
def set_attached(
    app: App,
    wanted: Mapping[str, Attached],
    *,
    by: User | None,
    description: str,
    skips_phase: bool = False,
) -> Release:
    """Make the config vars that add-ons set on the app exactly `wanted`, in one release. A var of such a name that
    people set, or that is inherited, gives way; `skips_phase` leaves out the release command, where an add-on only changed its own values."""
    _lock(app)
    theirs = {var.key: var for var in ConfigVar.objects.filter(app=app, attachment_id__isnull=False)}
    for key in theirs.keys() - wanted.keys():
        layers.write(app, key, None, by=by)
    for key, given in wanted.items():
        now = theirs.get(key)
        same = now is not None and (now.value, now.attachment_id, now.origin) == (
            given.value,
            given.attachment,
            given.addon,
        )
        if not same:
            layers.write(app, key, given.value, by=by, origin=given.addon, attachment_id=given.attachment)
    layers.bring(app, by=by)
    failpoints.reach("config.snapshot")
    return create_release(
        app, kind=Release.Kind.ADDON, description=description, by=by, skips_phase=skips_phase
    )


@transaction.atomic
def rollback(app: App, release: Release, *, by: User, note: str = "", seen: int | None = None) -> Release:
    """Make a new release with the very triple of `release`: its slug, config and process types (I-02). What add-ons
    set stays as it is now: the servers behind them are those of today. An inherited value that was another then becomes
    the app's own; what the app has begun to inherit since stays.

    `seen` is the version that served when the plan was shown: `Conflict` if another one serves by now.
    """
    demand_not_suspended(app)
    if release.app_id != app.pk:
        raise NotFound("Couldn't find that release.", resource="release")
    if not release.eligible_for_rollback:
        raise Refusal(f"v{release.version} can't be rolled back to: it {_why_not(release)}.")
    _lock(app)
    _check_seen(app, seen)
    _restore_config(app, _by_hand(release), by=by)
    return create_release(
        app,
        kind=Release.Kind.ROLLBACK,
        description=f"Rollback to v{release.version}",
        by=by,
        slug=release.slug,
        note=note,
        from_release=release,
    )


@transaction.atomic
def cancel_build(build: Build, *, by: User | None) -> None:
    """Stop a build. What it made so far is thrown away; the running release is untouched."""
    asked = Build.objects.filter(pk=build.pk, status__in=OPEN).update(cancel_asked=True, wake_at=None)
    if not asked:
        raise Conflict(f"This build has {build.status} already.")
    activity.record(by, "cancelled", build, app=build.app)
    live.tell(build.app.topic)
    live.wake_conductor()


@transaction.atomic
def fail_release(release: Release, reason: str, *, by: User | None = None) -> None:
    """End a release that has not succeeded yet, whoever works on it: the worker finds that it has lost its lease, and the
    release's dynos, which nobody wants any more, are stopped. The one that serves is untouched."""
    ended = Release.objects.filter(pk=release.pk, status__in=OPEN).update(
        status=Release.Status.FAILED,
        reason=reason[:500],
        finished_at=timezone.now(),
        lease_until=None,
        lease_token=None,
    )
    if not ended:
        raise Conflict(f"v{release.version} has {release.status} already.")
    activity.record(by, "gave up", release, app=release.app, why=reason)
    live.tell(release.app.topic)
    live.wake_conductor()


@transaction.atomic
def build_again(app: App, source: Source, *, by: User, clear_cache: bool = False) -> Build:
    """Build a source that was built before, as "deploy this branch again" does."""
    if source.app_id != app.pk:
        raise NotFound("Couldn't find that source.", resource="source")
    return create_build(app, source, by=by, clear_cache=clear_cache)


def _check_seen(app: App, seen: int | None) -> None:
    current = Release.objects.current_for(app)
    if seen is not None and (current.version if current else 0) != seen:
        raise Conflict(
            f"{app.name} runs {current or 'nothing'} by now: what would change is different from what was shown. "
            "Look at it again."
        )


def _lock(app: App) -> None:
    """Have changes of one app's ledger take turns."""
    App.objects.select_for_update().get(pk=app.pk)


def _restore_config(app: App, config: Mapping[str, str], *, by: User) -> None:
    """Make the config vars what they were. Those that are so already stay whose they are, and what was write-only
    when it went away comes back write-only."""
    rows = ConfigVar.objects.filter(app=app)
    attached = set(rows.exclude(attachment_id=None).values_list("key", flat=True))
    config = {key: value for key, value in config.items() if key not in attached}
    found = {var.key: var.value for var in rows.filter(attachment_id=None)}
    own = set(rows.by_hand().values_list("key", flat=True))
    for key in sorted({*own, *config}):
        if found.get(key) != config.get(key):
            layers.write(app, key, config.get(key), by=by)
    layers.bring(app, by=by)
    app.refresh_from_db(fields=["write_only_keys"])
    hidden = [key for key in app.write_only_keys if key in config and found.get(key) != config[key]]
    config_vars.make_write_only(app, hidden, by=by)


def _by_hand(release: Release) -> dict[str, str]:
    """The config of a release without what add-ons set."""
    return {key: value for key, value in release.config.items() if key not in release.attached_keys}


def _addon_plans(app: App) -> list[str]:
    """The plans of the add-ons that the app uses, as `heroku-postgresql:mini`."""
    used = app.attachments.exclude(addon__state__in=("provisioning", "failed", "deprovisioning"))
    rows = used.values_list("addon__plan__service__name", "addon__plan__name")
    return sorted({f"{service}:{plan}" for service, plan in rows})


def _check_free(app: App, rows: Iterable[ConfigVar], asked: Mapping[str, str | None]) -> None:
    """`Refusal` for config vars that an add-on sets, and for unsetting what is inherited."""
    for row in rows:
        if row.attachment_id:
            raise Refusal(
                f"{row.key} is set by the add-on {row.origin}. Detach the add-on to set {row.key} by hand, or choose "
                "another name.",
                fields={"key": f"The add-on {row.origin} sets this one."},
            )
        if row.layer and asked[row.key] is None:
            given = layers.inherited(app).get(row.key)
            where = given.origin if given else f"its {row.layer}"
            raise Refusal(
                f"{app.name} has no {row.key} of its own: it comes from {where}. Remove it there, or set another value "
                "here, which replaces it.",
                fields={"key": f"It comes from {where}."},
            )


def _set(values: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value is not None}


def _check_size(values: Mapping[str, Any]) -> None:
    total = sum(len(k.encode()) + len(str(v).encode()) for k, v in values.items() if v is not None)
    if total > settings.CONFIG_BYTES:
        raise Refusal(
            f"Config vars would take {total:,} bytes together; {settings.CONFIG_BYTES:,} is the limit. "
            "Put large values into a file or an add-on.",
            fields={"value": "Too large."},
        )
    if any("\0" in str(v) for v in values.values() if v is not None):
        raise Refusal("A config var can't hold a NUL character.", fields={"value": "Holds a NUL character."})


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    change = {}
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old != new:
            change[key] = "added" if old is None else "removed" if new is None else "changed"
    return change


def describe(changes: Mapping[str, str | None], brought: Container[str] = ()) -> str:
    """What a release says of config vars that were set and unset; those in `brought` were not lost by that."""
    back = sorted(key for key, value in changes.items() if value is None and key in brought)
    gone = sorted(key for key, value in changes.items() if value is None and key not in brought)
    kept = sorted(key for key, value in changes.items() if value is not None)
    parts = [
        f"{verb} {', '.join(keys)} config var{'s' if len(keys) > 1 else ''}"
        for verb, keys in (("Set", kept), ("Remove", gone), ("Inherit", back))
        if keys
    ]
    return "; ".join(parts)


def _why_not(release: Release) -> str:
    if release.status != Release.Status.SUCCEEDED:
        return {"failed": "failed", "expired": "has expired"}.get(release.status, "is not done yet")
    return "has no code yet" if release.slug is None else "has had its slug cleaned away"
