"""The auditor: compares rows, repositories, slugs, logs and processes, and lists what breaks a promise.

It changes nothing and may run beside the platform or without it. Rows are read in one transaction, so a check never
sees half a change.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.models import App, ConfigVar, Dyno
from ci import runs
from conductor import status
from core.secrets import Tampered
from pipelines.models import Coupling, Promotion, PromotionTarget
from releases import layers
from releases.models import OPEN, Build, Release

STUCK = timedelta(seconds=60)
SETTLING = (0.5, 1.0, 2.0, 3.0)  # seconds to wait before what looks wrong with processes is looked at again


@dataclass(frozen=True)
class Violation:
    """A promise that is broken, by what, and how."""

    promise: str
    object: str
    message: str

    def __str__(self) -> str:
        return f"{self.promise} {self.object}: {self.message}"


Check = Callable[[], Iterator[Violation]]


def audit() -> dict[str, Any]:
    """Everything that is wrong, `{"violations": […], "checks": n, "running": whether a conductor is}`."""
    from conductor import audit_addons, audit_flow, audit_reviews, audit_world

    rows = (*ROWS, *audit_addons.ROWS, *audit_flow.ROWS, *audit_reviews.ROWS)
    world = (audit_world.processes, *audit_addons.WORLD, *(audit_flow.RUNNING if status.read() else ()))
    found: list[Violation] = []
    with transaction.atomic():
        for check in rows:
            found += check()
    for check in audit_world.DISK:
        found += check()
    for check in world:
        found += _settled(check)
    return {
        "violations": [asdict(violation) for violation in found],
        "checks": len(rows) + len(audit_world.DISK) + len(world),
        "running": status.read() is not None,
    }


def _settled(check: Check) -> list[Violation]:
    """What is still wrong after a few seconds: beside a conductor, dynos start and stop all the time."""
    found = list(check())
    for pause in SETTLING if status.read() else ():
        if not found:
            break
        time.sleep(pause)
        again = set(check())
        found = [violation for violation in found if violation in again]
    return found


def versions() -> Iterator[Violation]:
    """I-01: 1, 2, 3 … without gap or twin."""
    ledger: dict[Any, list[int]] = defaultdict(list)
    for app_id, version in Release.objects.order_by("version").values_list("app_id", "version"):
        ledger[app_id].append(version)
    for app in App.objects.all():
        found = ledger[app.pk]
        if found != list(range(1, app.last_version + 1)):
            yield Violation(
                "I-01", f"app {app}", f"versions are {found}, the last should be {app.last_version}"
            )


def triples() -> Iterator[Violation]:
    """I-02, I-38: what succeeded is whole, opens, and a rollback equals what it rolled back to."""
    for release in Release.objects.select_related("slug", "app", "from_release__slug"):
        name = f"release {release} of {release.app}"
        try:
            config = release.config
        except (Tampered, ValueError) as error:
            yield Violation("I-38", name, f"its config does not open: {error}")
            continue
        if sorted(config) != release.config_keys:
            yield Violation("I-02", name, "its list of config keys is not that of its config")
        if (
            release.slug
            and release.status != "pending"
            and release.process_types != release.slug.process_types
        ):
            yield Violation("I-02", name, "its process types are not those of its slug")
        yield from _rolled_back(release, name, config)


def _rolled_back(release: Release, name: str, config: dict[str, str]) -> Iterator[Violation]:
    former = release.from_release
    if release.kind != Release.Kind.ROLLBACK or former is None:
        return
    if (release.slug_id, release.process_types) != (former.slug_id, former.process_types):
        yield Violation("I-02", name, f"it does not run the code of v{former.version}")
    if not _opens(former):
        return
    attached = {*release.attached_keys, *former.attached_keys}  # what add-ons set is never rolled back
    since = set(release.inherited_keys) - former.config.keys()  # what a stage has begun to give stays
    if _without(config, attached | since) != _without(former.config, attached):
        yield Violation("I-02", name, f"its config is not that of v{former.version}")


def _without(config: dict[str, str], keys: set[str]) -> dict[str, str]:
    return {key: value for key, value in config.items() if key not in keys}


def activations() -> Iterator[Violation]:
    """I-06: the highest version that succeeded is current, and nothing else."""
    for app in App.objects.all():
        good = (
            Release.objects.filter(app=app, status__in=["succeeded", "expired"]).order_by("-version").first()
        )
        current = list(Release.objects.filter(app=app, current=True).values_list("version", flat=True))
        if current != ([good.version] if good else []):
            yield Violation("I-06", f"app {app}", f"current is {current}, the last that succeeded is {good}")


def promotions() -> Iterator[Violation]:
    """I-07: atomic per target, completed exactly when all have ended, byte-identical."""
    for promotion in Promotion.objects.select_related("source", "release").prefetch_related(
        "targets__release"
    ):
        name = f"promotion {promotion.pk}"
        targets = list(promotion.targets.all())
        is_over = all(target.status not in OPEN for target in targets)
        if is_over != (promotion.status == Promotion.Status.COMPLETED):
            yield Violation(
                "I-07", name, f"it is {promotion.status}, its targets {[t.status for t in targets]}"
            )
        for target in targets:
            yield from _target(promotion, target, name)


def _target(promotion: Promotion, target: PromotionTarget, name: str) -> Iterator[Violation]:
    release = target.release
    if release and release.slug_id != promotion.release.slug_id:
        yield Violation("I-07", name, f"{target.app} got another slug")
    if target.status == "succeeded" and (release is None or release.status not in ("succeeded", "expired")):
        yield Violation("I-07", name, f"{target.app} succeeded without a release that did")
    if target.status == "failed" and not target.reason:
        yield Violation("I-07", name, f"{target.app} failed without a reason")
    if target.status in OPEN and release and release.status not in OPEN:
        yield Violation("I-07", name, f"{target.app} is open, its release {release.status}")


def configs() -> Iterator[Violation]:
    """I-09, I-38: the newest release's snapshot is what the config vars say."""
    values: dict[Any, dict[str, str]] = defaultdict(dict)
    for var in ConfigVar.objects.select_related("app"):
        try:
            values[var.app_id][var.key] = var.value
        except Tampered as error:
            yield Violation("I-38", f"config var {var.key} of {var.app}", str(error))
    for app in App.objects.all():
        newest = Release.objects.filter(app=app).order_by("-version").first()
        if newest and _opens(newest) and newest.config != values[app.pk]:
            yield Violation("I-09", f"app {app}", f"its config vars are not those of {newest}")


def inheritance() -> Iterator[Violation]:
    """I-09: what apps inherit is what their stages and pipelines say, and nobody else inherits anything."""
    inheriting = Coupling.objects.filter(inherits=True).values("app")
    heirs = Q(pk__in=inheriting) | Q(pk__in=ConfigVar.objects.exclude(layer="").values("app"))
    for app in App.objects.alive().filter(heirs):
        try:
            rows = {var.key: (var.value, var.layer, var.attachment_id) for var in app.config_vars.all()}
            due = {key: (given.value, given.layer) for key, given in layers.inherited(app).items()}
        except Tampered:
            continue  # told by others
        theirs = {key: row[:2] for key, row in rows.items() if row[1]}
        for key in sorted({*theirs, *due}):
            own = key in rows and not rows[key][1]
            if theirs.get(key) != due.get(key) and not own:
                yield Violation("I-09", f"app {app}", f"{key} is not what it inherits")


def _opens(release: Release) -> bool:
    try:
        return isinstance(release.config, dict)
    except (Tampered, ValueError):
        return False


def one_offs() -> Iterator[Violation]:
    """I-38: what a one-off dyno was given opens."""
    for row in Dyno.objects.filter(one_off=True).exclude(sealed_env=""):
        try:
            row.env  # noqa: B018
        except Tampered as error:
            yield Violation("I-38", f"dyno {row} of {row.app}", str(error))


def test_apps() -> Iterator[Violation]:
    """No app of a test run outlives it."""
    for pk in runs.orphans():
        if not App.objects.filter(pk=pk, created_at__gt=timezone.now() - STUCK).exists():
            yield Violation("I-19", f"app {pk}", "its test run is over, and it was not destroyed")


def stuck() -> Iterator[Violation]:
    """I-15: while a conductor runs, nothing open is left alone for a minute; what ended says how."""
    for row in Build.objects.filter(status="succeeded", release__isnull=True).select_related("app"):
        if not Release.objects.filter(slug=row.slug_id).exists():
            yield Violation("I-15", f"build {row.pk} of {row.app}", "it succeeded without a release")
    if status.read() is None:
        return
    horizon = timezone.now() - STUCK
    for model in (Build, Release, PromotionTarget):
        left = model.objects.filter(status__in=OPEN, created_at__lt=horizon).filter(
            Q(lease_until__lt=horizon)
            | Q(lease_until__isnull=True, wake_at__lt=horizon)
            | Q(status="pending")
        )
        busy = model.objects.filter(status="running", lease_until__gte=horizon).exists()
        for row in left.select_related("app"):
            if row.status == "running" or not busy:
                yield Violation(
                    "I-15", f"{model._meta.model_name} {row.pk} of {row.app}", f"stuck in {row.status}"
                )


ROWS: tuple[Check, ...] = (
    versions,
    triples,
    activations,
    promotions,
    configs,
    inheritance,
    one_offs,
    test_apps,
    stuck,
)
