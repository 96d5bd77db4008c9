"""What the pages of test runs show."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import QueryDict

from accounts.models import User
from ci.models import State, TestCase, TestNode, TestRun
from ci.settings import settings_of
from dashboard.charts import Spark, spark
from forge.code import place_of
from pipelines import access
from pipelines.models import Pipeline
from releases import repositories
from releases.streams import output_url

PER_PAGE, CASES = 25, 50
TREND = 30  # runs that the trend is made of
RECENT = 50  # runs in which a test that passed and failed for one commit counts as flaky
SETUP = "setup"
# state → the glyph's kind, and the word
STANDS = {
    State.PENDING: ("queued", "Waiting"),
    State.CREATING: ("building", "Setting up"),
    State.BUILDING: ("building", "Building"),
    State.RUNNING: ("building", "Running"),
    State.DEBUGGING: ("waiting", "Debugging"),
    State.SUCCEEDED: ("passed", "Passed"),
    State.FAILED: ("failed", "Failed"),
    State.ERRORED: ("failed", "Could not run"),
    State.CANCELLED: ("stopped", "Cancelled"),
}


@dataclass(frozen=True)
class Trend:
    """How the last runs went."""

    passed: int
    of: int
    line: Spark | None  # of how long they took
    usual: float | None  # seconds of the middle one


def frame(pipeline: Pipeline, user: User, rights: frozenset[str], tab: str = "tests") -> dict[str, Any]:
    """What all pages of tests know."""
    return {
        "pipeline": pipeline,
        "tab": tab,
        "may_deploy": access.DEPLOY in rights,
        "may_manage": access.MANAGE in rights,
    }


# --- the list -------------------------------------------------------------------------------------------------------------


def runs(pipeline: Pipeline, user: User, rights: frozenset[str], wanted: QueryDict) -> dict[str, Any]:
    """The pipeline's runs, newest first, of one branch if the address says so."""
    rows = TestRun.objects.filter(pipeline=pipeline)
    branch = wanted.get("branch", "")[:255]
    chosen = rows.filter(branch=branch) if branch else rows
    page = Paginator(chosen.select_related("by").order_by("-number"), PER_PAGE).get_page(wanted.get("page"))
    for run in page:
        run.pipeline = pipeline
    keep = QueryDict(mutable=True)
    if branch:
        keep["branch"] = branch
    return {
        **frame(pipeline, user, rights),
        "page": page,
        "rows": [(run, *stand(run.state)) for run in page],
        "branch": branch,
        "keep": f"{keep.urlencode()}&" if branch else "",
        "trend": trend(chosen),
        "ci": settings_of(pipeline),
    }


def stand(state: str) -> tuple[str, str]:
    """How a state is drawn, and its word."""
    return STANDS[State(state)]


def trend(rows: QuerySet[TestRun]) -> Trend | None:
    """The outcome and length of the last runs that came to an end of their own; None of fewer than three."""
    ended = rows.filter(state__in=[State.SUCCEEDED, State.FAILED], debug=False).order_by("-number")
    found = list(ended.only("state", "started_at", "finished_at")[:TREND])
    if len(found) < 3:
        return None
    lengths = [run.seconds or 0.0 for run in reversed(found)]
    passed = sum(run.state == State.SUCCEEDED for run in found)
    return Trend(passed, len(found), spark(lengths), sorted(lengths)[len(lengths) // 2])


# --- one run --------------------------------------------------------------------------------------------------------------


def run(run: TestRun, user: User, rights: frozenset[str], wanted: QueryDict) -> dict[str, Any]:
    """A run: how it stands, its nodes and cases, and whose output is shown."""
    nodes = list(run.nodes.all())
    for node in nodes:
        node.run = run
    kind, word = stand(run.state)
    failed = [node for node in nodes if node.state in (State.FAILED, State.ERRORED)]
    return {
        **frame(run.pipeline, user, rights),
        "run": run,
        "kind": kind,
        "word": word,
        "nodes": [(node, *stand(node.state), _took(node)) for node in nodes],
        "parallel": len(nodes) > 1,
        "may_rerun": run.is_over and not run.debug,
        "some_failed": bool(failed) and len(nodes) > 1,
        "debug_command": _debug_command(run.pipeline) if _needs_a_look(run) else "",
        **output(run, nodes, user, wanted),
        **cases(run, wanted),
    }


def _needs_a_look(run: TestRun) -> bool:
    return run.state in (State.FAILED, State.ERRORED) and not run.debug


def _debug_command(pipeline: Pipeline) -> str:
    return f"heroku ci:debug --pipeline {pipeline.name}"


def _took(node: TestNode) -> float | None:
    if node.started_at is None or node.finished_at is None:
        return None
    return (node.finished_at - node.started_at).total_seconds()


def output(run: TestRun, nodes: Sequence[TestNode], user: User, wanted: QueryDict) -> dict[str, Any]:
    """Whose output is shown: as the address says, or what is of most interest by now."""
    begun = [node for node in nodes if node.started_at is not None and not run.debug]
    asked = wanted.get("output", "")
    shown: TestNode | None = next((node for node in begun if str(node.index) == asked), None)
    if shown is None and asked != SETUP and begun:
        bad = [node for node in begun if node.state in (State.FAILED, State.ERRORED)]
        shown = (bad or begun)[0]
    writes = shown or run
    return {
        "shown": str(shown.index) if shown else SETUP,
        "outputs": [SETUP, *(str(node.index) for node in begun)],
        "stream": writes.log_stream,
        "raw": output_url(writes, by=user),
        "label": f"Output of node {shown.index}" if shown else "Output of the set-up",
    }


def cases(run: TestRun, wanted: QueryDict) -> dict[str, Any]:
    """A page of what the tests reported: failed ones first, or those that the address asks for."""
    rows = TestCase.objects.filter(run=run)
    which, text = wanted.get("cases", ""), wanted.get("q", "")[:200].strip()
    if which == "failed":
        rows = rows.filter(passed=False)
    elif which == "skipped":
        rows = rows.filter(directive__startswith="skip")
    if text:
        rows = rows.filter(description__icontains=text)
    page: Page[TestCase] = Paginator(
        rows.select_related("node").order_by("passed", "node__index", "number"), CASES
    ).get_page(wanted.get("page"))
    keep = QueryDict(mutable=True)
    keep.update({key: value for key, value in (("cases", which), ("q", text)) if value})
    return {
        "page": page,
        "which": which,
        "q": text,
        "keep": f"{keep.urlencode()}&" if keep else "",
        "flaky": flaky(run, page),
        "reported": bool(run.passed or run.failed or run.skipped or page.paginator.count),
    }


def flaky(run: TestRun, rows: Iterable[TestCase]) -> set[str]:
    """The descriptions among `rows` of tests that passed and failed for one and the same commit lately."""
    names = {case.description for case in rows}
    if not names:
        return set()
    lately = TestRun.objects.filter(pipeline=run.pipeline_id).exclude(commit="").order_by("-number")
    of_commit: dict[str, list[Any]] = defaultdict(list)
    for pk, commit in lately.values_list("pk", "commit")[:RECENT]:
        of_commit[commit].append(pk)
    again = {pk: commit for commit, pks in of_commit.items() if len(pks) > 1 for pk in pks}
    if not again:
        return set()
    found: dict[tuple[str, str], set[bool]] = defaultdict(set)
    told = TestCase.objects.filter(run__in=list(again), description__in=names, directive="")
    for pk, description, passed in told.values_list("run", "description", "passed").distinct():
        found[again[pk], description].add(passed)
    return {description for (_, description), outcomes in found.items() if len(outcomes) == 2}


def new_run(pipeline: Pipeline) -> dict[str, Any]:
    """What there is to test."""
    place = place_of(pipeline)
    if place is None:
        return {"place": None, "branches": [], "debug_command": ""}
    if place.repository:
        names = sorted(place.repository.heads) or [place.repository.default_branch]
    else:
        assert place.app is not None
        names = [branch.name for branch in repositories.branches(place.app)]
    return {"place": place, "branches": names[:100], "debug_command": _debug_command(pipeline)}
