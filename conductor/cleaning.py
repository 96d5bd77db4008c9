"""What is not needed any more: destroyed apps, old sources, slugs and builds, leftovers of interrupted work."""

import logging
import shutil
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from addons import actions as addons
from addons import archives, mails, volumes
from apps import dyno_events, memory, traffic
from apps.models import App, Dyno
from conductor import caches, ci, deliveries, nodes, notices
from conductor.parts import Parts
from flow.models import Gate, Probe
from forge.actions import forget_reports
from pipelines.models import Promotion, PromotionTarget
from releases import repositories, sources
from releases.models import OPEN, Build, Release, Slug, Source

log = logging.getLogger(__name__)

EVERY_SECONDS = 600.0
KEEP_SOURCES = 10  # of an app's builds, to build again from
ONE_OFF_DAYS = 1
RECENT = timedelta(hours=1)


def tidy(parts: Parts) -> None:
    """At the start of who leads: clear what an interruption left half done. Folders of builds that other conductors may
    have in hand stay."""
    found = list((parts.data / "work").iterdir()) if (parts.data / "work").is_dir() else []
    running = Build.objects.filter(status=Build.Status.RUNNING) if parts.crew.shared else Build.objects.none()
    kept = {str(pk) for pk in running.values_list("pk", flat=True)}
    for folder in found:
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)
    if parts.leftovers:
        parts.leftovers.sweep(kept)
    volumes.settle()
    end_streams(parts, after=timedelta(days=1), before=timedelta())


def end_streams(
    parts: Parts, *, after: timedelta = timedelta(minutes=5), before: timedelta = timedelta(seconds=10)
) -> None:
    """End the output of builds and releases that ended so long ago, where whoever ended them did not get to it."""
    now = timezone.now()
    for rows in (Release.objects.all(), Build.objects.all(), _commands()):
        for row in rows.filter(finished_at__gte=now - after, finished_at__lte=now - before):
            if not parts.logs.ended(row.log_stream):
                parts.logs.end(row.log_stream)


def clean(parts: Parts) -> None:
    """One round through everything that grows."""
    ended = timezone.now() - timedelta(days=ONE_OFF_DAYS)
    Dyno.objects.filter(one_off=True, state=Dyno.State.DOWN, state_at__lt=ended).delete()
    for app in App.objects.alive():
        _expire_releases(app.pk)
        _drop_sources(parts, app.pk)
        _drop_outputs(parts, app.pk)
        traffic.forget_old(app, timezone.now())
        memory.forget_old(app, timezone.now())
        dyno_events.forget_old(app, timezone.now())
        if repositories.path(app).exists():
            repositories.tidy(app)
    sources.sweep()
    caches.drop_of_gone_pipelines(parts.data)
    archives.tell_all()
    ci.clean(parts)
    drop_slugs(parts)
    if parts.leftovers:
        running = Build.objects.filter(status=Build.Status.RUNNING).values_list("pk", flat=True)
        parts.leftovers.sweep([str(pk) for pk in running])
        kept = {str(pk) for pk in App.objects.values_list("pk", flat=True)} | caches.of_pipelines()
        parts.leftovers.keep(kept, _images(), older_than=RECENT.total_seconds())
    deliveries.forget_old()
    notices.forget_old()
    forget_reports()
    mails.forget_old()
    if parts.servers:
        mails.follow(parts.servers.mailer)
    volumes.clear()
    nodes.forget_old(has_nodes=parts.machines is not None)
    call_command("clearsessions", verbosity=0)


def clear_destroyed(parts: Parts) -> None:
    """Take away the destroyed apps of which nothing runs any more."""
    for app in App.objects.filter(destroyed_at__isnull=False):
        clear_app(parts, app)


def clear_app(parts: Parts, app: App) -> bool:
    """Take a destroyed app out of the database and off the disk; False while something of it still runs."""
    if parts.driver.observe(str(app.pk)) or Dyno.objects.filter(app=app, one_off=False).exists():
        return False
    if any(m.objects.filter(app=app, status__in=OPEN).exists() for m in (Build, Release, PromotionTarget)):
        return False
    if not addons.give_up(app):
        return False
    streams = [row.log_stream for model in (Build, Release) for row in model.objects.filter(app=app)]
    streams += [probe.log_stream for probe in _commands().filter(passage__source=app)]
    paths = list(Source.objects.filter(app=app).exclude(path="").values_list("path", flat=True))
    app_id: UUID = app.pk
    with transaction.atomic():
        Promotion.objects.filter(source=app).delete()
        for model in (Build, Release, Source):
            model.objects.filter(app=app).delete()
        app.delete()
    for stream in (*streams, f"app/{app_id}"):
        parts.logs.drop(stream)
    for path in paths:
        if not Source.objects.filter(path=path).exists():  # the same upload may have been built elsewhere too
            (parts.data / path).unlink(missing_ok=True)
    caches.drop(parts.data, str(app_id))
    repositories.remove(app_id)
    drop_slugs(parts)
    return True


def drop_slugs(parts: Parts) -> None:
    """Delete archives that no release may run any more. The row says so first: a file too many does no harm."""
    unused = Slug.objects.filter(expired_at__isnull=True, releases__isnull=True, builds__isnull=True)
    unused.filter(created_at__lt=timezone.now() - RECENT).update(expired_at=timezone.now())
    Slug.objects.filter(expired_at__isnull=False, releases__isnull=True, builds__isnull=True).delete()
    live = set(Slug.objects.filter(expired_at__isnull=True).values_list("digest", flat=True))
    horizon = (timezone.now() - RECENT).timestamp()
    for archive in parts.slugs.archives.glob("*.tar.zst"):
        digest = "sha256:" + archive.name.removesuffix(".tar.zst")
        with suppress(FileNotFoundError):  # somebody else was faster
            if digest not in live and archive.stat().st_mtime < horizon:
                parts.slugs.drop(digest)
    running = Release.objects.filter(current=True, slug__isnull=False).values_list("slug__digest", flat=True)
    parts.slugs.trim(settings.KEEP_SLUGS, used=set(running))


def _images() -> set[str]:
    """Every image that a release may still run."""
    found: set[str] = set()
    live = Slug.objects.filter(expired_at__isnull=True).exclude(image="")
    for image, others in live.values_list("image", "images"):
        found |= {image, *others.values()}
    return found


def _expire_releases(app_id: UUID) -> None:
    """Beyond the newest `KEEP_SLUGS` releases, slugs go that no kept release of any app needs."""
    releases = Release.objects.filter(app=app_id, slug__isnull=False, slug__expired_at__isnull=True)
    old = releases.order_by("-version").values_list("slug_id", flat=True)[settings.KEEP_SLUGS :]
    for slug_id in set(old):
        kept = Q(current=True) | Q(status__in=OPEN) | Q(pk__in=_newest(app_id))
        elsewhere = ~Q(app=app_id)
        if Release.objects.filter(kept | elsewhere, slug=slug_id).exists():
            continue
        if Promotion.objects.filter(release__slug=slug_id, status="pending").exists():
            continue
        with transaction.atomic():
            Slug.objects.filter(pk=slug_id).update(expired_at=timezone.now())
            Release.objects.filter(slug=slug_id, status="succeeded").update(status="expired")


def _newest(app_id: UUID) -> list[UUID]:
    newest = Release.objects.filter(app=app_id, slug__isnull=False).order_by("-version")
    return list(newest.values_list("pk", flat=True)[: settings.KEEP_SLUGS])


def _drop_sources(parts: Parts, app_id: UUID) -> None:
    """Archives of sources whose builds are long past; the rows stay, for the history."""
    builds = Build.objects.filter(app=app_id).order_by("-created_at")
    kept = set(builds.values_list("source_id", flat=True)[:KEEP_SOURCES])
    kept |= set(builds.filter(status__in=OPEN).values_list("source_id", flat=True))
    old = Source.objects.filter(app=app_id, builds__isnull=False).exclude(path="").exclude(pk__in=kept)
    for source in old.distinct():
        _drop_archive(parts, source)


def _drop_archive(parts: Parts, source: Source) -> None:
    path = source.path
    Source.objects.filter(pk=source.pk).update(path="")
    if not Source.objects.filter(path=path).exists():
        (parts.data / path).unlink(missing_ok=True)


def _drop_outputs(parts: Parts, app_id: UUID) -> None:
    """The output of old builds and releases; rows stay."""
    before = timezone.now() - timedelta(days=settings.KEEP_DAYS)
    rows = [Build.objects.filter(app=app_id), Release.objects.filter(app=app_id)]
    for found in (*rows, _commands().filter(passage__source=app_id)):
        for row in found.filter(finished_at__lt=before):
            parts.logs.drop(row.log_stream)


def _commands() -> QuerySet[Probe]:
    """The probes that have an output."""
    return Probe.objects.filter(gate__kind=Gate.Kind.COMMAND)
