"""Builds: fetch the source, compile it, make the release.

A build that was interrupted starts its step again from the same source, in the same work folder, which the builder
clears first. The slug is on disk, fsynced, before a row names it (I-21); the build succeeds in the transaction that
makes its release.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps import access
from apps.models import TEST, App, ConfigVar
from conductor import caches
from conductor.parts import Parts
from conductor.releases import tell
from conductor.timeline import turn
from conductor.work import Held
from core import changes, failpoints
from core.changes import Change
from core.errors import BuildFailed, LeaseLost, Refusal
from core.text import storable
from engine.builder import BuildCancelled, BuildLimits, BuildResult, BuildSpec
from engine.outbound import Outbound
from pipelines import asked_addons
from releases import app_json, checkouts, doors
from releases.actions import create_release
from releases.models import Build, Manifest, Release, Slug, Source
from scheduler import crontab

CHUNK = 1024 * 1024
ADDON_SECONDS = 60.0  # that a first deploy waits for its add-ons: its release command may need them
LOOK_SECONDS = 0.2
SAID = 20  # lines about what is wrong with an app.json
STEPS = ("fetch source", "compile", "release")


class Builds:
    """Moves builds forward, one thread each."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._steps: tuple[Callable[[Held, Build], None], ...] = (self._fetch, self._compile, self._release)

    def advance(self, held: Held) -> None:
        """Run the steps until the build has ended."""
        row: Build = held.job
        failpoints.reach("build.claimed")
        self._begin(row)
        while row.status == Build.Status.RUNNING:
            if held.cancel.is_set() or row.cancel_asked:
                return self._cancelled(row)
            try:
                self._steps[row.step](held, row)
            except BuildCancelled:
                if held.lost.is_set():
                    raise LeaseLost(str(row.pk)) from None
                return self._cancelled(row)
        return None

    def fail(self, row: Any, reason: str) -> None:
        """End the build with the reason, in its row and in its output."""
        self._end(row, Build.Status.FAILED, reason)
        self._parts.say(row.app.log_stream, "Build failed -- check your build output")

    def cancel_pending(self) -> None:
        """End builds that were cancelled before they began."""
        for row in Build.objects.filter(status=Build.Status.PENDING, cancel_asked=True):
            with transaction.atomic():
                ended = Build.objects.filter(pk=row.pk, status=Build.Status.PENDING).update(
                    status=Build.Status.CANCELLED, reason="Cancelled.", finished_at=timezone.now()
                )
                if ended:
                    row.refresh_from_db()
                    changes.note(Change(row, by=row.by, app_id=row.app_id))
                tell(row.app)
            if ended:
                self._close(row, "Build cancelled.")

    # --- steps --------------------------------------------------------------------------------------------------

    def _begin(self, row: Build) -> None:
        app = row.app = App.objects.get(pk=row.app_id)
        if app.destroyed_at:
            raise BuildFailed(f"{app.name} has been destroyed.")
        if app.suspended_at:
            raise BuildFailed(f"{app.name} is suspended by an operator.")
        if row.started_at is not None:
            self._say(row, " !     The platform was interrupted; this step starts again.")
        row.record(
            started_at=row.started_at or timezone.now(),
            steps=turn(row.steps, STEPS[row.step]),
        )
        tell(app)

    def _fetch(self, held: Held, row: Build) -> None:
        """Get the source if it is a commit of a repository, and make sure that it is what was accepted."""
        source = row.source
        if source.image:
            row.next_step(steps=turn(row.steps, STEPS[1]))
            return
        if not self._there(source):
            checkouts.fill(source, say=lambda text: self._say(row, text), stop=lambda: self._stops(held))
            if self._stops(held):
                raise BuildCancelled
        path = self._parts.data / source.path
        if not self._there(source):
            raise BuildFailed("The source is not there any more. Push or upload it again.")
        if source.checksum and checksum(path) != source.checksum.removeprefix("sha256:"):
            raise BuildFailed("The source is not what its checksum says. Push or upload it again.")
        row.next_step(steps=turn(row.steps, STEPS[1]))
        failpoints.reach("build.source_fetched")

    def _compile(self, held: Held, row: Build) -> None:
        """Turn the source into a slug, or into images."""
        spec = self._spec(row, cache=caches.take(row.app))
        try:
            result = self._parts.build(
                spec,
                slugs=self._parts.slugs,
                write=self._parts.writer(row.log_stream, "build"),
                cancelled=lambda: self._stops(held),
                outbound=Outbound(settings.OUTBOUND_ALLOW),
                buildpacks=self._parts.data / "buildpacks",
            )
        finally:
            if not held.lost.is_set():  # else another conductor builds with it
                caches.hand_on(row.app)
        _check(result.app_json)
        failpoints.reach("build.compiled")
        with transaction.atomic():
            slug = _make_slug(row, result)
            given = _take_manifest(row, slug, storable(result.app_json)) if result.app_json else []
            row.next_step(slug=slug, buildpacks=result.buildpacks, steps=turn(row.steps, STEPS[2]))
        self._say(row, *given)
        failpoints.reach("build.slug_stored")

    def _release(self, held: Held, row: Build) -> None:
        """Succeed, in the transaction that makes the release."""
        slug = row.slug
        assert slug is not None
        if row.by and access.DEPLOY not in access.rights_in(row.by, row.app):
            raise BuildFailed(f"You do not have the right to deploy to {row.app.name} any more.")
        if reasons := doors.against(row.app, row.by):
            raise BuildFailed(" ".join(reasons))
        if asked_addons.is_new(row.app):
            self._await_addons(held, row)
        what = row.source.image or row.source.short or "a source"
        with transaction.atomic():
            release = create_release(
                row.app,
                kind=Release.Kind.DEPLOY,
                description=f"Deploy {what}",
                by=row.by,
                slug=slug,
                skips_phase=row.app.ephemeral == TEST,
            )
            row.end(Build.Status.SUCCEEDED, release=release, steps=turn(row.steps))
            failpoints.reach("build.release_row")
            tell(row.app)
        self._close(row, "-----> Launching...")
        self._parts.say(row.app.log_stream, "Build succeeded")

    def _await_addons(self, held: Held, row: Build) -> None:
        """Have the add-ons of a new app ready before its first release, if they are within a reasonable time."""
        missing = asked_addons.being_made(row.app)
        if not missing:
            return
        self._say(row, f"       Waiting for {', '.join(missing)}")
        until = time.monotonic() + ADDON_SECONDS
        while missing and time.monotonic() < until:
            if self._stops(held):
                raise BuildCancelled
            held.cancel.wait(LOOK_SECONDS)
            missing = asked_addons.being_made(row.app)
        if missing:
            self._say(row, " !     They are not ready yet: their config vars come with a later release.")

    # --- parts of steps -----------------------------------------------------------------------------------------

    def _there(self, source: Source) -> bool:
        return bool(source.path) and (self._parts.data / source.path).is_file()

    def _stops(self, held: Held) -> bool:
        return held.cancel.is_set() or held.lost.is_set()

    def _spec(self, row: Build, *, cache: str) -> BuildSpec:
        app = row.app
        return BuildSpec(
            id=str(row.pk),
            app=str(app.pk),
            source=self._parts.data / row.source.path,
            env=_config(app),
            cache=caches.folder_of(self._parts.data, cache),
            buildpacks=row.buildpacks,
            stack=row.stack,
            slot=app.slot,
            limits=BuildLimits(
                seconds=settings.BUILD_SECONDS,
                memory=settings.BUILD_MEMORY,
                cpus=settings.BUILD_CPUS,
                output_bytes=settings.BUILD_OUTPUT_BYTES,
                slug_bytes=settings.SLUG_BYTES,
            ),
            work=self._parts.data / "work" / str(row.pk),
            fresh=row.clear_cache,
            image=row.source.image,
            test=app.ephemeral == TEST,
            command=row.command,
        )

    def _cancelled(self, row: Build) -> None:
        suspended = App.objects.filter(pk=row.app_id, suspended_at__isnull=False).exists()
        reason = f"Cancelled: {row.app.name} is suspended by an operator." if suspended else "Cancelled."
        self._end(row, Build.Status.CANCELLED, reason)

    def _end(self, row: Build, status: str, reason: str) -> None:
        with transaction.atomic():
            row.end(status, reason=reason[:500], steps=turn(row.steps))
            tell(row.app)
        self._close(row, *(f" !     {line}" for line in reason.splitlines() or ["Failed."]))

    def _close(self, row: Build, *texts: str) -> None:
        self._say(row, *texts)
        self._parts.logs.end(row.log_stream)

    def _say(self, row: Build, *texts: str) -> None:
        self._parts.say(row.log_stream, *texts, dyno="build")


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _config(app: App) -> Mapping[str, str]:
    return {var.key: var.value for var in ConfigVar.objects.filter(app=app)}


def _check(found: dict[str, Any]) -> None:
    """`BuildFailed` for what an app.json asks for that can't be: rather now than when it is released."""
    try:
        crontab.read(found)
    except Refusal as refusal:
        raise BuildFailed(refusal.message) from refusal


def _take_manifest(row: Build, slug: Slug, found: dict[str, Any]) -> list[str]:
    """Keep what app.json says, and give a new app the add-ons that it asks for. The lines for the build's output."""
    Manifest.objects.create(slug=slug, app_json=found)
    asked = app_json.read(found, row.app.ephemeral)
    lines = [f" !     {text}" for text in (*asked.errors, *asked.warnings)[:SAID]]
    if asked_addons.is_new(row.app):
        lines += asked_addons.give(row.app, asked.addons, by=row.by)
    return lines


def _make_slug(row: Build, result: BuildResult) -> Slug:
    source: Source = row.source
    return Slug.objects.create(
        app=row.app,
        digest=result.digest,
        bytes=result.bytes,
        image=result.image,
        images=result.images,
        process_types=result.process_types,
        buildpacks=result.buildpacks,
        stack=row.stack,
        commit=source.commit,
        branch=source.branch,
        message=source.message,
        author=source.author,
        author_email=source.author_email,
        committed_at=source.committed_at,
    )
