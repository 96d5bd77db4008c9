"""Test runs: make an app for one, build it, run its tests in dynos side by side, and clear everything away.

A node is known to the engine by its row's id, so a second try finds the first. Where dynos end with the platform (the
local engine), an interruption has the node's tests run again.
"""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.models import TEST, App, Dyno
from ci import runs, script
from ci.cases import Case, read_junit, read_tap
from ci.models import State, TestNode, TestRun
from conductor import wishes
from conductor.parts import Parts
from conductor.work import Held
from core import failpoints, live
from core.errors import BuildFailed, Refusal
from engine.builder import BuildLimits
from engine.builder.peek import peek
from engine.plan import ALIVE
from engine.spec import DynoState
from pipelines import asked_addons
from releases import checkouts
from releases.models import Build, Release, Source

POLL = 0.3  # seconds between two looks at a build, an add-on, or whether somebody has cancelled
ADDON_SECONDS = 300.0
LAST_LINES_SECONDS = 3.0  # that the end of a node's output may take to arrive after its process has ended
SWEEP_SECONDS = 15.0
PIECE = 2000  # lines
OURS = "ci"  # the dyno that our own lines are said to come from
AGAIN = " !     The platform was interrupted; the tests run again."


class Tests:
    """Moves test runs forward."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._copied: dict[str, int] = {}  # lines of a build that its run's output has
        self._steps: tuple[Callable[[Held, TestRun], float | None], ...] = (
            self._make,
            self._build,
            self._begin,
            self._follow,
        )

    def advance(self, held: Held) -> float | None:
        """Run steps until the run has ended, or waits for something."""
        run: TestRun = held.job
        while run.status == TestRun.Status.RUNNING:
            if held.lost.is_set():
                return None
            if (end := _end_before(run)) is not None:
                self._end(run, *end)
                return None
            try:
                wait = self._steps[run.step](held, run)
            except Refusal as refusal:
                raise BuildFailed(refusal.message) from refusal
            if wait is not None:
                return wait
        return None

    def fail(self, run: TestRun, reason: str) -> None:
        """End the run with the reason, in its row and in its output."""
        self._say(run, *(f" !     {line}" for line in reason.splitlines()))
        self._end(run, State.ERRORED, reason)

    # --- steps --------------------------------------------------------------------------------------------------

    def _make(self, held: Held, run: TestRun) -> None:
        """Make its app, get the source, and prepare all that app.json asks for."""
        if run.started_at is None:
            with transaction.atomic():
                run.record(state=State.CREATING, started_at=timezone.now())
                live.tell(run.pipeline.topic)
        app = runs.make_app(run)
        failpoints.reach("ci.app_made")
        source = self._source(held, run, app)
        runs.note_source(run, source)
        limit = BuildLimits().unpacked_bytes
        files = peek(self._parts.data / source.path, runs.WANTED_FILES, max_bytes=limit)
        lines = runs.prepare(run, files)
        failpoints.reach("ci.prepared")
        self._say(run, *lines)

    def _source(self, held: Held, run: TestRun, app: App) -> Source:
        source = Source.objects.filter(app=app).order_by("created_at").first()
        assert source is not None  # made together with the app
        if not self._there(source):
            checkouts.fill(source, say=lambda text: self._say(run, text), stop=held.lost.is_set)
        if not self._there(source):
            raise BuildFailed("The source is not there any more. Push or upload it again.")
        return source

    def _there(self, source: Source) -> bool:
        return bool(source.path) and Path(self._parts.data / source.path).is_file()

    def _build(self, held: Held, run: TestRun) -> float | None:
        """Build it once its add-ons are there; the build's output is shown as the run's own."""
        app = run.app
        if app is None or app.destroyed_at:
            raise BuildFailed("The app of the run has been destroyed.")
        if run.build is None:
            if wait := self._await_addons(run, app):
                return wait
            runs.begin_build(run, Source.objects.filter(app=app).order_by("created_at")[0])
        build = Build.objects.select_related("release").get(pk=run.build_id)
        self._copy_output(run, build)
        if build.status in ("pending", "running"):
            return POLL
        if build.status != Build.Status.SUCCEEDED or build.release is None:
            raise BuildFailed(
                f"The build {build.status}: {build.reason}" if build.reason else "The build failed."
            )
        release = build.release
        if release.status in ("pending", "running"):
            return POLL
        if release.status != Release.Status.SUCCEEDED:
            raise BuildFailed(f"The release failed: {release.reason}")
        run.next_step()
        return None

    def _await_addons(self, run: TestRun, app: App) -> float | None:
        if failed := runs.failed_addons(app):
            raise BuildFailed(
                f"{', '.join(failed)} could not be had. Run the tests again, or ask an operator."
            )
        missing = asked_addons.being_made(app)
        if not missing:
            return None
        began = run.started_at or timezone.now()
        if (timezone.now() - began).total_seconds() > ADDON_SECONDS:
            raise BuildFailed(f"{', '.join(missing)} took too long to be ready.")
        return POLL

    def _begin(self, held: Held, run: TestRun) -> None:
        """Have no more said of its set-up."""
        runs.begin_nodes(run)
        self._parts.logs.end(run.log_stream)

    def _follow(self, held: Held, run: TestRun) -> float | None:
        """Have its nodes run, and note those that have ended; at last the run."""
        nodes = list(TestNode.objects.filter(run=run))
        found = {state.id: state for state in self._parts.driver.observe(str(run.app_id))}
        wait = POLL
        for node in nodes:
            node.run = run
            if node.finished_at is not None:
                continue
            if run.debug:
                self._debug(run, node)
            elif (state := found.get(id_of(node))) is None:
                self._start(run, node)
            elif state.state not in ALIVE:
                wait = min(wait, self._ended(run, node, state) or wait)
        failpoints.reach("ci.nodes_started")
        if any(node.finished_at is None for node in nodes):
            return wait
        self._end(run, *runs.outcome(run, nodes))
        return None

    # --- nodes --------------------------------------------------------------------------------------------------

    def _start(self, run: TestRun, node: TestNode) -> None:
        if node.started_at is not None:
            self._parts.logs.drop(node.reports_stream)
            self._parts.say(node.log_stream, AGAIN, dyno=OURS)
        node.started_at = timezone.now()
        node.save(update_fields=["started_at", "updated_at"])
        row = Dyno(
            app=run.app,
            type="test",
            number=node.index + 1,
            size=run.app_json["size"],
            command=script.SCRIPT,
            release_version=self._version(run),
            one_off=True,
            time_to_live=max(1, int(runs.seconds_left(run))),
        )
        row.env = runs.env_of(run, node)
        assert run.app is not None
        self._parts.driver.run(wishes.spec(run.app, row, id_of(node), stream=node.log_stream))

    def _debug(self, run: TestRun, node: TestNode) -> None:
        """Have a shell wait for somebody, until it has ended."""
        if node.dyno_id is None:
            seconds = max(1, int(runs.seconds_left(run)))
            runs.open_shell(run, node, version=self._version(run), seconds=seconds)
        dyno = Dyno.objects.filter(pk=node.dyno_id).first() if node.dyno_id else None
        if dyno is None or dyno.state == Dyno.State.DOWN:
            code = dyno.exit_code if dyno else None
            runs.end_node(node, state=State.SUCCEEDED, exit_code=code, reason="", cases=[])

    def _ended(self, run: TestRun, node: TestNode, state: DynoState) -> float | None:
        """Read what a node has said, once all of it is there."""
        lines = self._parts.logs.read(node.reports_stream, limit=PIECE * 10)
        told = script.read(entry.line.text for entry in lines)
        if not told.over and time.time() - state.since < LAST_LINES_SECONDS:
            return POLL / 3
        cases: list[Case] = [case for file in told.files for case in read_junit(file)]
        cases = [*read_tap(self._lines(node)), *cases]
        how = _how(state, told)
        runs.end_node(node, state=how[0], exit_code=state.exit_code, reason=how[1], cases=cases)
        failpoints.reach("ci.node_ended")
        self._parts.logs.end(node.log_stream)
        self._parts.logs.drop(node.reports_stream)
        self._parts.driver.stop(str(run.app_id), id_of(node))
        return None

    def _lines(self, node: TestNode) -> Iterator[str]:
        """Its output since its tests began last."""
        logs = self._parts.logs
        after = max((entry.offset for entry in logs.tail(node.log_stream, 10, dyno=OURS)), default=0)
        while batch := logs.read(node.log_stream, after=after, limit=PIECE):
            yield from (entry.line.text.decode("utf-8", "replace").rstrip("\r") for entry in batch)
            after = batch[-1].offset

    def _version(self, run: TestRun) -> int:
        build = Build.objects.select_related("release").get(pk=run.build_id)
        assert build.release is not None
        return build.release.version

    # --- the end ------------------------------------------------------------------------------------------------

    def _end(self, run: TestRun, state: State, reason: str) -> None:
        """Stop what runs, write the end, and close all output."""
        nodes = list(TestNode.objects.filter(run=run))
        for node in nodes:
            self._parts.driver.stop(str(run.app_id), id_of(node))
            self._parts.logs.drop(node.reports_stream)
        if run.build is not None and run.running_at is None:
            self._copy_output(run, run.build)
        runs.end_run(run, state, reason)
        self._copied.pop(str(run.pk), None)
        for stream in (run.log_stream, *(node.log_stream for node in nodes)):
            self._parts.logs.end(stream)
        failpoints.reach("ci.done")

    # --- output -------------------------------------------------------------------------------------------------

    def _say(self, run: TestRun, *texts: str) -> None:
        self._parts.say(run.log_stream, *texts, dyno=OURS)

    def _copy_output(self, run: TestRun, build: Build) -> None:
        """Pass on what the build has written since last time: its own output goes with the app."""
        logs, key = self._parts.logs, str(run.pk)
        if key not in self._copied:  # after an interruption: what is there is counted
            self._copied[key] = sum(e.line.dyno == "build" for e in logs.read(run.log_stream, limit=10**6))
        while batch := logs.read(build.log_stream, after=self._copied[key], limit=PIECE):
            logs(run.log_stream, [entry.line for entry in batch])
            self._copied[key] = batch[-1].offset


def id_of(node: TestNode) -> str:
    """What the engine knows a node by."""
    return f"{TEST}.{node.pk}"


def look(parts: Parts) -> None:
    """Make up for what an interruption left: apps of runs that have ended, and dynos of apps that are gone."""
    runs.destroy(runs.orphans())
    for app in App.objects.filter(ephemeral=TEST, destroyed_at__isnull=False):
        for state in parts.driver.observe(str(app.pk)):
            if state.id.startswith(f"{TEST}."):
                parts.driver.stop(str(app.pk), state.id)


def clean(parts: Parts) -> None:
    """What nobody asks for any more: archives that were uploaded for runs long past, and the output of old runs."""
    for source in runs.old_sources():
        path = source.path
        Source.objects.filter(pk=source.pk).update(path="")
        if not Source.objects.filter(path=path).exists():
            (parts.data / path).unlink(missing_ok=True)
    before = timezone.now() - timedelta(days=settings.KEEP_DAYS)
    for run in TestRun.objects.filter(finished_at__lt=before).prefetch_related("nodes"):
        for stream in (run.log_stream, *(node.log_stream for node in run.nodes.all())):
            parts.logs.drop(stream)


def _end_before(run: TestRun) -> tuple[State, str] | None:
    """How it ends before its time: somebody has cancelled it, or it takes too long."""
    if TestRun.objects.filter(pk=run.pk, cancel_asked=True).exists():
        return State.CANCELLED, "Cancelled."
    if runs.seconds_left(run) <= 0:
        return State.ERRORED, f"It took longer than {settings.CI_SECONDS // 60} minutes, the limit of a run."
    return None


def _how(state: DynoState, told: script.Told) -> tuple[State, str]:
    """How a node ended, and why if its exit status does not say it."""
    if state.exit_code == 0:
        return State.SUCCEEDED, ""
    if told.setup_status is not None:
        return State.ERRORED, f"test-setup ended with exit status {told.setup_status}."
    if state.reason:
        return State.ERRORED, f"It was ended: {state.reason}"
    return State.FAILED, ""
