"""Setups of apps: read app.json before anything is built, give the app what it asks for, have the first release made,
then run postdeploy, once.

Each step ends in one transaction that notes what it made, so that a second try finds the first. Builds, add-ons and
releases are rows of their own, which others move; here they are waited for.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps import actions as app_actions
from apps import limits, one_offs, stacks
from apps.models import App, ConfigVar, Dyno, Formation
from conductor.parts import Parts
from conductor.work import Held
from core import failpoints, live
from core.errors import BuildFailed, Refusal
from engine.builder import BuildLimits
from engine.builder.peek import peek
from engine.builder.procfile import parse_app_json
from releases import app_json, checkouts
from releases.actions import create_build, set_config
from releases.app_json import AppJson
from releases.models import OPEN, Build, Release, Source
from reviews.models import AppSetup

AT_ONCE = 32
LOOK_SECONDS = 0.5  # between two looks at what others move
LAST_LINES = 100  # of postdeploy, that are kept
MOST_OUTPUT = 20_000  # characters of it
ORIGIN = "app.json"


class Setups:
    """Moves setups forward."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._steps: tuple[Callable[[Held, AppSetup], float | None], ...] = (
            self._configure,
            self._build,
            self._await_release,
            self._postdeploy,
            self._await_postdeploy,
        )

    def advance(self, held: Held) -> float | None:
        """Run steps until the setup has ended or waits for others."""
        setup: AppSetup = held.job
        while setup.status == AppSetup.Status.RUNNING:
            app = App.objects.alive().filter(pk=_id(setup.app_id)).first()
            if setup.app is None or app is None:
                raise BuildFailed("The app was destroyed.")
            try:
                wait = self._steps[setup.step](held, setup)
            except Refusal as refusal:
                raise BuildFailed(refusal.message) from refusal
            if wait is not None:
                return wait
        return None

    def fail(self, setup: Any, reason: str) -> None:
        """End it with the reason. The app stays, for people to look at."""
        with transaction.atomic():
            setup.end(AppSetup.Status.FAILED, failure=reason[:500])
            if setup.app:
                live.tell(setup.app.topic)

    # --- steps ------------------------------------------------------------------------------------------------

    def _configure(self, held: Held, setup: AppSetup) -> None:
        """Give the app what its app.json asks for, in one transaction; nothing of it when anything is wrong."""
        app, source = _app_of(setup), setup.source
        if source is None:
            raise BuildFailed("Its source is gone.")
        found = self._read(held, app, source)
        env, have = setup.env, set(ConfigVar.objects.filter(app=app).values_list("key", flat=True))
        missing = [f"app.json: {key} is required and has no value." for key in found.missing({*env, *have})]
        if found.errors or missing:
            setup.record(manifest_errors=[*found.errors, *missing])
            raise BuildFailed(" ".join([*found.errors, *missing]))
        with transaction.atomic():
            _give(setup, app, found, env, have)
            setup.next_step(scripts=dict(found.scripts), success_url=found.success_url)
        failpoints.reach("setup.configured")

    def _build(self, held: Held, setup: AppSetup) -> None:
        """Ask for the build, in the transaction that notes it."""
        app = _app_of(setup)
        assert setup.source is not None
        with transaction.atomic():
            setup.next_step(build=create_build(app, setup.source, by=setup.by))

    def _await_release(self, held: Held, setup: AppSetup) -> float | None:
        """Wait for the build and its release."""
        build = Build.objects.filter(pk=_id(setup.build_id)).select_related("release").first()
        if build is None:
            raise BuildFailed("Its build is gone.")
        if build.status in OPEN:
            return LOOK_SECONDS
        if build.status != Build.Status.SUCCEEDED or build.release is None:
            raise BuildFailed(f"The build was not good: {build.reason}")
        if build.release.status in OPEN:
            return LOOK_SECONDS
        if build.release.status == Release.Status.FAILED:
            raise BuildFailed(f"The release failed: {build.release.reason}")
        with transaction.atomic():
            _drop_formation(_app_of(setup), build.release)
            setup.next_step()
        return None

    def _postdeploy(self, held: Held, setup: AppSetup) -> None:
        """Start the script in a one-off dyno, in the transaction that notes it: it never runs twice."""
        command = setup.scripts.get("postdeploy", "")
        app = _app_of(setup)
        current = Release.objects.current_for(app)
        if not command or current is None:
            self._done(setup)
            return
        with transaction.atomic():
            dyno = one_offs.run_detached(
                app,
                command,
                release_version=current.version,
                by=setup.by,
                time_to_live=settings.RELEASE_PHASE_SECONDS,
                type="postdeploy",
            )
            setup.next_step(postdeploy_dyno=dyno.pk)

    def _await_postdeploy(self, held: Held, setup: AppSetup) -> float | None:
        dyno = Dyno.objects.filter(pk=_id(setup.postdeploy_dyno)).first()
        if dyno is not None and dyno.state not in (Dyno.State.DOWN, Dyno.State.CRASHED):
            return LOOK_SECONDS
        code = dyno.exit_code if dyno else None
        setup.record(postdeploy_code=code, postdeploy_output=self._said(setup, dyno))
        if code != 0:
            why = f"exited with status {code}" if code is not None else "ended without a status"
            raise BuildFailed(f"The postdeploy script {why}.")
        self._done(setup)
        return None

    # --- parts of steps ---------------------------------------------------------------------------------------

    def _read(self, held: Held, app: App, source: Source) -> AppJson:
        """The app.json of the source, which is fetched for it if it is not there yet."""
        if not source.path:
            checkouts.fill(
                source,
                say=lambda text: self._parts.say(app.log_stream, text.strip("-> ")),
                stop=held.lost.is_set,
            )
        path = self._parts.data / source.path
        if not source.path or not path.is_file():
            raise BuildFailed("The source is not there any more.")
        found = peek(path, ["app.json"], max_bytes=BuildLimits().unpacked_bytes)
        data = found.get("app.json")
        return app_json.read(parse_app_json(data) if data else {}, app.ephemeral)

    def _said(self, setup: AppSetup, dyno: Dyno | None) -> str:
        if dyno is None or setup.app is None:
            return ""
        tail = self._parts.logs.tail(setup.app.log_stream, LAST_LINES, source="app", dyno=dyno.name)
        return "".join(f"{entry.line.text.decode('utf-8', 'replace')}\n" for entry in tail)[-MOST_OUTPUT:]

    def _done(self, setup: AppSetup) -> None:
        with transaction.atomic():
            setup.end(AppSetup.Status.SUCCEEDED)
            live.tell(_app_of(setup).topic)
        failpoints.reach("setup.done")


def _id(pk: UUID | None) -> UUID:
    """What is looked for; an id that nothing has where there is none."""
    return pk or UUID(int=0)


def _app_of(setup: AppSetup) -> App:
    assert setup.app is not None
    return setup.app


def _give(setup: AppSetup, app: App, found: AppJson, env: Mapping[str, str], have: set[str]) -> None:
    """Config vars, stack, buildpacks and formation; add-ons come with the build, as for any app that is new."""
    if env:
        set_config(app, env, by=setup.by)
    values = found.values(without={*env, *have})
    if values:
        set_config(app, values, by=setup.by, description="Config vars of app.json", origin=ORIGIN)
    by = setup.by
    assert by is not None
    if found.stack in stacks.available() and found.stack != app.stack:
        stacks.set_stack(app, found.stack, by=by)
    buildpacks = setup.buildpacks or list(found.buildpacks)
    if buildpacks and buildpacks != app.buildpacks:
        app_actions.set_buildpacks(app, buildpacks, by=by)
    for type, line in found.formation.items():
        start = {**line, "quantity": limits.room_for_dynos(app.owner, line["quantity"])}
        Formation.objects.get_or_create(app=app, type=type, defaults=start)


def _drop_formation(app: App, release: Release) -> None:
    """What app.json says of process types that the code has not."""
    Formation.objects.filter(app=app).exclude(type__in=release.process_types).delete()
