"""Tests of a pipeline's code: runs, their nodes and cases, and the config vars that they get."""

import time
from typing import Self
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from ninja import Body, Router, Status
from ninja import Schema as Taken

from accounts.models import User
from api.asker import asker
from api.http import ranged
from api.shapes.base import Named, Ref, Schema, Time
from api.shapes.people import PLATFORM, AccountOut
from api.shapes.reviews import AppSetupOut
from ci import access, actions
from ci.models import State, TestCase, TestNode, TestRun
from ci.settings import reveal_all, set_vars
from core.errors import Refusal
from pipelines.access import pipeline_for
from pipelines.access import rights_in as rights_in_pipeline
from releases import sources
from releases.streams import output_url

router = Router(tags=["Tests"])
SMALLEST_PAGE = 100  # the CLI asks for one run a page, and then for all pages
POLL_SECONDS, LOOK_SECONDS = 1.0, 0.1


class TestRunIn(Taken):
    """An archive to test, and the commit that it is of."""

    __test__ = False

    pipeline: str
    source_blob_url: str
    commit_branch: str
    commit_sha: str
    commit_message: str
    organization: str | None = None
    debug: bool = False
    clear_cache: bool | None = None


class TestRunChange(Taken):
    """The end of a run: `cancelled` is the only one that can be asked for."""

    __test__ = False

    status: str
    message: str | None = None


class SizeOut(Schema):
    """The size of a run's dynos."""

    size: str


class TeamName(Schema):
    """A team by its name."""

    name: str


class TestRunOut(Schema):
    """A test run."""

    __test__ = False

    id: UUID
    number: int
    pipeline: Ref
    organization: TeamName | None
    user: AccountOut
    actor_email: str
    commit_branch: str
    commit_sha: str
    commit_message: str
    source_blob_url: str
    status: str
    message: str | None
    warning_message: str | None
    debug: bool
    clear_cache: bool
    dyno: SizeOut | None
    app_setup: Ref | None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, run: TestRun) -> Self:
        team = run.pipeline.team
        by = AccountOut.of_other(run.by) if run.by else PLATFORM
        size = run.app_json.get("size")
        return cls(
            id=run.pk,
            number=run.number,
            pipeline=Ref(id=run.pipeline_id),
            organization=TeamName(name=team.name) if team else None,
            user=by,
            actor_email=by.email,
            commit_branch=run.branch,
            commit_sha=run.commit,
            commit_message=run.message,
            source_blob_url="",  # it lets anybody who has it download the code
            status=run.state,
            message=run.reason or None,
            warning_message=run.warning or None,
            debug=run.debug,
            clear_cache=run.clear_cache,
            dyno=SizeOut(size=size) if size else None,
            app_setup=Ref(id=run.pk),
            created_at=run.created_at,
            updated_at=run.updated_at,
        )


class TestDynoOut(Schema):
    """The dyno of a debug run, and where who started it attaches."""

    __test__ = False

    id: UUID
    attach_url: str | None


class TestNodeOut(Schema):
    """One of the dynos that share a run's tests."""

    __test__ = False

    id: UUID
    index: int
    status: str
    error_status: str | None
    exit_code: int | None
    message: str | None
    dyno: TestDynoOut | None
    pipeline: Ref
    test_run: Ref
    setup_stream_url: str
    output_stream_url: str
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, node: TestNode, by: User, *, deploys: bool, at: str) -> Self:
        """`node`, with addresses of its output, below `at`, that last as long as the right of `by` to read it."""
        bad = node.state in (State.ERRORED, State.FAILED, State.CANCELLED)
        return cls(
            id=node.pk,
            index=node.index,
            status=node.state,
            error_status=node.state if node.state == State.ERRORED else None,
            exit_code=1 if node.exit_code is None and bad else node.exit_code,  # programs exit with it
            message=node.reason or node.run.reason or None,
            dyno=_dyno(node, by, deploys),
            pipeline=Ref(id=node.run.pipeline_id),
            test_run=Ref(id=node.run_id),
            setup_stream_url=output_url(node.run, by=by).replace(settings.URL, at, 1),
            output_stream_url=output_url(node, by=by).replace(settings.URL, at, 1),
            created_at=node.created_at,
            updated_at=node.updated_at,
        )


class TestCaseOut(Schema):
    """One test of a run."""

    __test__ = False

    id: UUID
    number: int
    description: str
    directive: str
    passed: bool
    diagnostic: str
    test_node: Ref
    test_run: Ref
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, case: TestCase) -> Self:
        return cls(
            id=case.pk,
            number=case.number,
            description=case.description,
            directive=case.directive,
            passed=case.passed,
            diagnostic=case.diagnostic,
            test_node=Ref(id=case.node_id),
            test_run=Ref(id=case.run_id),
            created_at=case.created_at,
            updated_at=case.updated_at,
        )


RUNS = {200: list[TestRunOut], 206: list[TestRunOut]}
CASES = {200: list[TestCaseOut], 206: list[TestCaseOut]}


@router.post("/test-runs", response={201: TestRunOut})
def create(request: HttpRequest, body: TestRunIn) -> Status[TestRunOut]:
    """Test an archive, which is uploaded to a source first."""
    by = asker(request)
    pipeline = pipeline_for(by, body.pipeline, to=access.DEPLOY)
    run = actions.start_run_of_source(
        pipeline,
        sources.fetch(body.source_blob_url, user=by),
        branch=body.commit_branch,
        commit=body.commit_sha,
        message=body.commit_message,
        by=by,
        debug=body.debug,
        clear_cache=bool(body.clear_cache),
    )
    return Status(201, TestRunOut.of(run))


@router.get("/pipelines/{ref}/test-runs", response=RUNS)
def index(request: HttpRequest, response: HttpResponse, ref: str) -> Status[list[TestRunOut]]:
    """The pipeline's test runs."""
    pipeline = pipeline_for(asker(request), ref)
    rows = TestRun.objects.filter(pipeline=pipeline).select_related("pipeline__team", "by")
    return ranged(request, response, rows, TestRunOut.of, by="number", least=SMALLEST_PAGE)


@router.get("/pipelines/{ref}/test-runs/{number}", response=TestRunOut)
def info_by_number(request: HttpRequest, ref: str, number: int) -> TestRunOut:
    """One test run, by its number. Who asks for it again and again is answered once a second, or when it has moved on."""
    by = asker(request)
    pipeline = pipeline_for(by, ref)
    run = access.run_in(pipeline, number)
    if not run.is_over and not cache.add(f"test-run:{run.pk}:{by.pk}", True, timeout=2 * POLL_SECONDS):
        _wait(run)
        cache.set(f"test-run:{run.pk}:{by.pk}", True, timeout=2 * POLL_SECONDS)
    return TestRunOut.of(run)


@router.get("/test-runs/{ref}", response=TestRunOut)
def info(request: HttpRequest, ref: UUID) -> TestRunOut:
    """One test run."""
    return TestRunOut.of(access.run_for(asker(request), ref))


@router.patch("/test-runs/{ref}", response=TestRunOut)
def update(request: HttpRequest, ref: UUID, body: TestRunChange) -> TestRunOut:
    """Cancel a test run; one that has ended stays as it is."""
    by = asker(request)
    run = access.run_for(by, ref, to=access.DEPLOY)
    if body.status != State.CANCELLED:
        raise Refusal(f"A test run can be cancelled, and not be made {body.status[:40]}.")
    if not run.is_over:
        actions.cancel(run, by=by)
        run.refresh_from_db()
    return TestRunOut.of(run)


@router.get("/test-runs/{ref}/test-nodes", response=list[TestNodeOut])
def nodes(request: HttpRequest, ref: UUID) -> list[TestNodeOut]:
    """The nodes of a test run, with the addresses of their output."""
    by = asker(request)
    run = access.run_for(by, ref)
    deploys = access.DEPLOY in rights_in_pipeline(by, run.pipeline)
    rows = list(run.nodes.all())
    for row in rows:
        row.run = run
    # The CLI opens them by TLS alone, so they are where it has come by TLS.
    at = f"https://{request.get_host()}" if request.is_secure() else settings.URL
    return [TestNodeOut.of(row, by, deploys=deploys, at=at) for row in rows]


@router.get("/test-runs/{ref}/test-cases", response=CASES)
def cases(request: HttpRequest, response: HttpResponse, ref: UUID) -> Status[list[TestCaseOut]]:
    """What the tests of a run reported one by one."""
    run = access.run_for(asker(request), ref)
    return ranged(request, response, TestCase.objects.filter(run=run), TestCaseOut.of)


@router.get("/pipelines/{ref}/stage/test/config-vars", response=dict[str, str])
def config_vars(request: HttpRequest, ref: str) -> dict[str, str]:
    """The config vars that test runs get."""
    by = asker(request)
    return reveal_all(pipeline_for(by, ref, to=access.DEPLOY), by=by)


@router.patch("/pipelines/{ref}/stage/test/config-vars", response=dict[str, str])
def change_config_vars(request: HttpRequest, ref: str, body: Body[dict[str, str | None]]) -> dict[str, str]:
    """Set some and unset (null) others; answers with all of them."""
    by = asker(request)
    return set_vars(pipeline_for(by, ref, to=access.DEPLOY), body, by=by)


def setup_of(ref: UUID, by: User) -> AppSetupOut | None:
    """A test run as the setup of its app, which `ci:debug` asks for; None when there is no such run."""
    if not TestRun.objects.filter(pk=ref).exists():
        return None
    run = access.run_for(by, ref)
    app = Named(id=run.app.pk, name=run.app.name) if run.app else Named.fixed("app", "destroyed")
    status = {State.ERRORED: "failed", State.CANCELLED: "failed"}.get(State(run.state), "pending")
    return AppSetupOut(
        id=run.pk,
        app=app,
        build=None,
        created_at=run.created_at,
        failure_message=run.reason or None,
        manifest_errors=[],
        postdeploy=None,
        resolved_success_url=None,
        status="succeeded" if run.running_at else status,
        updated_at=run.updated_at,
    )


def _wait(run: TestRun) -> None:
    """Until the run has moved on, a second at most: some clients ask again at once."""
    before, end = run.state, time.monotonic() + POLL_SECONDS
    while run.state == before and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
        run.refresh_from_db(fields=["state", "status", "reason", "warning", "updated_at"])


def _dyno(node: TestNode, by: User, deploys: bool) -> TestDynoOut | None:
    if node.dyno_id is None:
        return None
    mine = deploys and node.run.by_id == by.pk and node.attach_secret
    url = f"rendezvous://{settings.RENDEZVOUS}/{node.attach_secret}" if mine else None
    return TestDynoOut(id=node.dyno_id, attach_url=url)
