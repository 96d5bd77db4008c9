"""The life of a test run in the database: its app, what app.json says of its tests, its nodes, and its end.

The conductor calls these between what it does in the world (`conductor.ci`); each may be called a second time.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from addons.models import Addon
from apps import actions as app_actions
from apps import limits, one_offs
from apps.models import TEST, App
from ci import actions, script
from ci.cases import Case, numbered
from ci.models import State, TestCase, TestNode, TestRun
from ci.settings import config_of
from core import live
from core.errors import BuildFailed
from core.text import storable
from engine.builder.procfile import parse_app_json
from forge.code import source_of
from pipelines import asked_addons
from releases import app_json
from releases.actions import create_build, set_config
from releases.app_json import AppJson
from releases.models import Source
from releases.sources import adopt

MOST_NODES = 32
KEEP_SOURCES = 20  # of a pipeline's runs
WANTED_FILES = ("app.json", "bin/test")
DEFAULT = "bin/test"  # what tests an app whose app.json does not say
OWN_DATABASE = (
    "in-dyno"  # Heroku's plan for tests, in the dyno's own walls; ours is a mini one that goes with the run
)
NO_TESTS = (
    "Nothing says how this app is tested. Add a script bin/test, or say it in app.json:\n"
    '{"environments": {"test": {"scripts": {"test": "pytest"}}}}'
)


@transaction.atomic
def make_app(run: TestRun) -> App:
    """The app that the run happens in, with the source that it will build; made once."""
    if run.app is not None:
        return run.app
    owner = run.pipeline.owner
    app = app_actions.create_app(f"ci-{run.pk.hex[:20]}", owner=owner, by=None, ephemeral=TEST)
    if run.source is not None:
        adopt(_copy(run.source), app)
    else:
        source_of(run.pipeline, run.commit or run.branch, into=app, by=run.by, branch=run.branch)
    run.record(app=app)
    return app


def _copy(source: Source) -> Source:
    """The same archive as a row of its own, without an app."""
    copy = Source.objects.get(pk=source.pk)
    copy.pk, copy._state.adding, copy.app = None, True, None
    fields = {field.attname: getattr(copy, field.attname) for field in Source._meta.concrete_fields}
    fields = {name: value for name, value in fields.items() if name not in ("id", "put_digest", "get_digest")}
    return Source.objects.create(**fields)


def note_source(run: TestRun, source: Source) -> None:
    """Take what is known of the commit by now, where nobody has said it before."""
    told = {
        "commit": run.commit or source.commit,
        "branch": run.branch or source.branch,
        "message": run.message or source.message,
        "author": run.author or source.author,
    }
    if any(getattr(run, name) != value for name, value in told.items()):
        had_commit = bool(run.commit)
        run.record(**told)
        if not had_commit:
            actions.tell_host(run)


# --- what app.json says ---------------------------------------------------------------------------------------------------


def read_files(files: Mapping[str, bytes]) -> tuple[AppJson, dict[str, Any]]:
    """What app.json asks for in tests, and how the run goes by that: its scripts, nodes and their size. `BuildFailed`
    says what is wrong or missing."""
    found = parse_app_json(files["app.json"]) if "app.json" in files else {}
    asked = app_json.read(found, TEST)
    if asked.errors:
        raise BuildFailed("\n".join(asked.errors))
    command = asked.scripts.get("test") or (DEFAULT if DEFAULT in files else "")
    if not command:
        raise BuildFailed(NO_TESTS)
    start = asked.formation.get("test", {})
    nodes = max(1, start.get("quantity", 1))
    if nodes > MOST_NODES:
        raise BuildFailed(f"app.json asks for {nodes} test nodes; {MOST_NODES} are the most.")
    return asked, {
        "setup": asked.scripts.get("test-setup", ""),
        "test": command,
        "nodes": nodes,
        "size": start.get("size", app_json.DEFAULT_SIZE),
    }


@transaction.atomic
def prepare(run: TestRun, files: Mapping[str, bytes]) -> list[str]:
    """Give the run's app its config, buildpacks and add-ons, as app.json says. Returns lines for the output."""
    asked, plan = read_files(files)
    app, given = run.app, config_of(run.pipeline)
    assert app is not None
    missing = asked.missing(given)
    if missing:
        raise BuildFailed(
            f"app.json requires {', '.join(missing)}. Set {'it' if len(missing) == 1 else 'them'} among the config "
            "vars of tests: heroku ci:config:set, or the pipeline's settings."
        )
    App.objects.filter(pk=app.pk).update(buildpacks=list(asked.buildpacks))
    lines = list(asked.warnings)
    ours = {"CI": "true", **{f"HEROKU_TEST_RUN_{key}": value for key, value in _facts(run).items()}}
    set_config(app, {**asked.values(without=given), **given, **ours}, by=None, description="Set up tests")
    lines += asked_addons.give(app, _affordable(asked.addons), by=run.by)
    total = run.nodes_total or plan["nodes"]
    for index in run.only_failed or range(1 if run.debug else total):
        TestNode.objects.get_or_create(run=run, index=index, defaults={"state": State.CREATING})
    run.next_step(app_json=plan, nodes_total=total, warning=" ".join(asked.warnings)[:500])
    return lines


def _facts(run: TestRun) -> dict[str, str]:
    return {"ID": str(run.pk), "BRANCH": run.branch, "COMMIT_VERSION": run.commit}


def _affordable(entries: Any) -> Any:
    """The add-ons with a plan of this platform in the place of Heroku's own for tests."""
    if not isinstance(entries, list | tuple):
        return entries
    return [_with_plan(entry) for entry in entries]


def _with_plan(entry: Any) -> Any:
    plan = entry.get("plan") if isinstance(entry, dict) else entry
    if not isinstance(plan, str) or not plan.endswith(f":{OWN_DATABASE}"):
        return entry
    own = plan.removesuffix(OWN_DATABASE) + "mini"
    return {**entry, "plan": own} if isinstance(entry, dict) else own


def failed_addons(app: App) -> list[str]:
    """Those of the app that could not be made."""
    rows = Addon.objects.filter(app=app, state=Addon.State.FAILED)
    return list(rows.values_list("plan__service__name", flat=True))


# --- nodes ------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def begin_build(run: TestRun, source: Source) -> None:
    """Have its app built: by the platform, whose right to do so is that of who started the run."""
    assert run.app is not None
    build = create_build(run.app, source, by=None, clear_cache=run.clear_cache)
    run.nodes.update(state=State.BUILDING, updated_at=timezone.now())
    run.record(build=build, state=State.BUILDING)
    live.tell(run.pipeline.topic)


@transaction.atomic
def begin_nodes(run: TestRun) -> None:
    """Write down that tests run now, or that a shell waits."""
    limits.demand_dynos(run.pipeline.owner, run.nodes.count())
    state = State.DEBUGGING if run.debug else State.RUNNING
    run.nodes.update(state=state, updated_at=timezone.now())
    run.next_step(state=state, running_at=timezone.now())
    live.tell(run.pipeline.topic)


def env_of(run: TestRun, node: TestNode) -> dict[str, str]:
    """What a node finds in its environment beside the app's config."""
    plan = run.app_json
    numbers = {"CI_NODE_INDEX": str(node.index), "CI_NODE_TOTAL": str(run.nodes_total)}
    if run.debug:
        told = {"SLIPWAY_CI_SHELL": script.SHELL, "CI_SETUP": plan["setup"], "CI_TEST": plan["test"]}
        return {**numbers, **told}
    return {**numbers, "SLIPWAY_CI_SETUP": plan["setup"], "SLIPWAY_CI_TEST": plan["test"]}


@transaction.atomic
def open_shell(run: TestRun, node: TestNode, *, version: int, seconds: int) -> None:
    """Have a dyno wait for whoever debugs, once: its address is told by the API to who started the run."""
    if node.dyno_id is not None or run.by is None or run.app is None:
        return
    dyno, secret = one_offs.run_attached(
        run.app,
        script.SHELL_COMMAND,
        tty=True,
        release_version=version,
        by=run.by,
        size=run.app_json["size"],
        env=env_of(run, node),
        time_to_live=seconds,
        type="test",
    )
    node.dyno_id, node.attach_secret, node.started_at = dyno.pk, secret, timezone.now()
    node.save(update_fields=["dyno_id", "sealed_attach", "started_at", "updated_at"])


@transaction.atomic
def end_node(node: TestNode, *, state: str, exit_code: int | None, reason: str, cases: list[Case]) -> None:
    """Write down how a node ended, and what its tests reported."""
    node.state, node.exit_code, node.reason = state, exit_code, storable(reason)[:300]
    node.finished_at = timezone.now()
    node.save(update_fields=["state", "exit_code", "reason", "finished_at", "updated_at"])
    TestCase.objects.filter(node=node).delete()
    rows = [TestCase(run_id=node.run_id, node=node, number=n, **vars(case)) for n, case in numbered([cases])]
    TestCase.objects.bulk_create(rows, batch_size=500)
    live.tell(node.run.pipeline.topic)


# --- the end ----------------------------------------------------------------------------------------------------------------


def outcome(run: TestRun, nodes: Iterable[TestNode]) -> tuple[State, str]:
    """How a run has ended whose nodes all have, and why, for people."""
    if run.debug:
        return State.CANCELLED, "The debug shell was closed."
    rows = list(nodes)
    bad = [node for node in rows if node.state != State.SUCCEEDED]
    if not bad:
        return State.SUCCEEDED, ""
    failed = TestCase.objects.filter(run=run, passed=False).count()
    first = bad[0]
    where = f"Node {first.index}: " if run.nodes_total > 1 else ""
    if failed and all(node.state == State.FAILED and not node.reason for node in bad):
        return State.FAILED, f"{failed} {'test' if failed == 1 else 'tests'} failed."
    why = first.reason or f"The tests ended with exit status {first.exit_code}."
    is_error = any(node.state == State.ERRORED for node in bad)
    return (State.ERRORED if is_error else State.FAILED), f"{where}{why}"


@transaction.atomic
def end_run(run: TestRun, state: State, reason: str) -> None:
    """Write the end of a run, and have its app destroyed. Whoever follows changes is told."""
    run.refresh_from_db(fields=["reason"])
    cases = TestCase.objects.filter(run=run)
    skipped = cases.filter(directive__startswith="skip").count()
    counts = {
        "failed": cases.filter(passed=False).count(),
        "skipped": skipped,
        "passed": cases.filter(passed=True).count() - skipped,
    }
    warning = run.warning
    if state == State.SUCCEEDED and counts["failed"]:
        warning = f"{counts['failed']} tests failed although the command ended with exit status 0. {warning}"
    why = run.reason if state == State.CANCELLED and run.reason else reason
    left = TestNode.objects.filter(run=run, finished_at=None)
    left.update(state=state, finished_at=timezone.now(), sealed_attach="", updated_at=timezone.now())
    run.end(
        TestRun.Status.ENDED, state=state, reason=why[:500], warning=warning[:500], has_cache=False, **counts
    )
    if run.app_id:
        destroy([run.app_id])
    actions.tell_host(run)
    live.tell(run.pipeline.topic)


def destroy(apps: Iterable[UUID]) -> None:
    """Have the apps of test runs cleared away. It is no deed of anybody's, so it is not recorded."""
    for pk in apps:
        if App.objects.filter(pk=pk, ephemeral=TEST, destroyed_at=None).update(destroyed_at=timezone.now()):
            live.tell(f"app:{pk}")


def orphans() -> list[UUID]:
    """Apps of test runs that are not open any more, or gone with their pipeline: nobody else would destroy them."""
    rows = App.objects.alive().filter(ephemeral=TEST)
    return list(rows.exclude(test_run__status__in=["pending", "running"]).values_list("pk", flat=True))


def old_sources() -> list[Source]:
    """Uploaded archives of runs that have ended, but for those of each pipeline's newest, which can be run again."""
    rows = TestRun.objects.filter(source__isnull=False).exclude(source__path="").select_related("source")
    seen, old = Counter[UUID](), []
    for run in rows.order_by("-number"):
        seen[run.pipeline_id] += 1
        if run.is_over and seen[run.pipeline_id] > KEEP_SOURCES and run.source is not None:
            old.append(run.source)
    return old


def seconds_left(run: TestRun) -> float:
    """How long it may go on; nothing any more when it is zero or less."""
    began = run.started_at or timezone.now()
    return settings.CI_SECONDS - (timezone.now() - began).total_seconds()
