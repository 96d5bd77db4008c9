"""What tests say of a commit: those that ran here, and, where asked for, those of others that its host knows of."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db.models import CharField, OuterRef, Subquery, Value
from django.db.models.functions import Cast, Concat

from ci.models import ENDED, State, TestRun
from forge.models import CommitStatus
from pipelines.models import Pipeline
from releases.models import Release

MOST_RUNS = 50  # of one commit that are looked at
OURS = "slipway/"  # what we told the host ourselves is no news
NONE, PENDING, PASSED, FAILED = "none", "pending", "passed", "failed"
_OF_RUN = {State.SUCCEEDED: PASSED, State.FAILED: FAILED, State.ERRORED: FAILED}


@dataclass(frozen=True)
class Result:
    """The answer: `state` is none, pending, passed or failed; `words` are for people; `url` is of the page that says
    more, empty where there is none. What was cancelled says nothing of the commit: it is none, `cancelled`."""

    state: str = NONE
    words: str = "No tests have run for this commit."
    url: str = ""
    cancelled: bool = False

    @property
    def holds(self) -> bool:
        """Whether the tests passed."""
        return self.state == PASSED


def result_of(
    pipeline: Pipeline,
    commit: str,
    *,
    runs: bool = True,
    host: bool = False,
    contexts: Collection[str] = (),
) -> Result:
    """What tests say of `commit`: with `runs` those that ran here, with `host` the statuses that the repository's host
    told of, of which `contexts` names those that count (none: all). All that is asked must have passed."""
    found = []
    if runs:
        found.append(_of_runs(pipeline, commit))
    if host:
        found.append(_of_host(pipeline, commit, contexts))
    return _together(found)


def results_of(pipeline: Pipeline, commits: Iterable[str]) -> Mapping[str, Result]:
    """What the runs here say of each of `commits`, in one query; commits without a run are left out."""
    wanted = {commit for commit in commits if commit}
    if not wanted:
        return {}
    rows = TestRun.objects.filter(pipeline=pipeline, commit__in=wanted, debug=False).order_by("number")
    told = rows.exclude(state=State.CANCELLED)
    return {row.commit: _of_run(row, pipeline) for row in told}  # the newest of a commit comes last


def newest_of_what_runs() -> Subquery:
    """For a list of couplings: "12 succeeded" of the newest run of the commit that each app runs; `read_newest` reads
    it. It costs no query of its own."""
    runs_now = Release.objects.filter(app=OuterRef(OuterRef("app")), current=True).exclude(slug__commit="")
    rows = TestRun.objects.filter(
        pipeline=OuterRef("pipeline"), commit=Subquery(runs_now.values("slug__commit")[:1]), debug=False
    ).exclude(state=State.CANCELLED)
    told = Concat(Cast("number", CharField()), Value(" "), "state", output_field=CharField())
    return Subquery(rows.order_by("-number").annotate(told=told).values("told")[:1])


def read_newest(told: str | None, pipeline: Pipeline) -> Result | None:
    """What `newest_of_what_runs` says; None without a run."""
    number, _, state = (told or "").partition(" ")
    return _of_run(TestRun(pipeline=pipeline, number=int(number), state=state), pipeline) if state else None


def _of_run(row: TestRun, pipeline: Pipeline) -> Result:
    row.pipeline = pipeline
    if row.state not in ENDED:
        return Result(PENDING, f"Test run {row.number} is {row.state}.", row.url_path)
    if row.state == State.SUCCEEDED:
        return Result(PASSED, f"Test run {row.number} passed.", row.url_path)
    why = f": {row.reason}" if row.reason else "."
    return Result(_OF_RUN[State(row.state)], f"Test run {row.number} {row.state}{why}"[:300], row.url_path)


def _of_runs(pipeline: Pipeline, commit: str) -> Result:
    """What the newest run of a commit says that was not cancelled; without one, that the newest was."""
    rows = TestRun.objects.filter(pipeline=pipeline, commit=commit, debug=False).order_by("-number")
    found = list(rows[:MOST_RUNS]) if commit else []
    told = next((row for row in found if row.state != State.CANCELLED), None)
    if told is not None:
        return _of_run(told, pipeline)
    if not found:
        return Result()
    row = found[0]
    row.pipeline = pipeline
    words = f"Test run {row.number} was cancelled: run it again, or push a newer commit."
    return Result(NONE, words, row.url_path, cancelled=True)


def _of_host(pipeline: Pipeline, commit: str, contexts: Collection[str]) -> Result:
    """What the host's statuses of the commit amount to; a named one that it has not told of is missing."""
    rows = CommitStatus.objects.filter(repository__pipeline=pipeline, commit=commit)
    if contexts:
        rows = rows.filter(context__in=contexts)
    told = {row.context: _of_status(row) for row in rows.exclude(context__startswith=OURS)}
    silent = sorted(set(contexts) - told.keys())
    missing = [Result(words=f"{context} has said nothing of this commit yet.") for context in silent]
    return _together([*told.values(), *missing])


def _of_status(row: CommitStatus) -> Result:
    state = {"pending": PENDING, "success": PASSED}.get(row.state, FAILED)
    said = row.description or {PENDING: "is not done yet", PASSED: "passed", FAILED: "failed"}[state]
    return Result(state, f"{row.context}: {said}"[:300], row.url)


def _together(found: Iterable[Result]) -> Result:
    """One answer of several: the worst of them."""
    worst = {FAILED: 0, PENDING: 1, NONE: 2, PASSED: 3}
    return min(found, key=lambda result: worst[result.state], default=Result())
