"""What apps and pipelines are built from: the part of the host that connects Heroku with GitHub."""

from uuid import UUID

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from ninja import Router, Schema, Status

from accounts.models import ApiToken, User
from api.asker import asker
from api.http import TokenAuth
from api.resources.bridged.github import ASKED_FOR, OWNER, SALT, number_of
from api.resources.bridged.hosts import KOLKRABBI
from api.shapes.base import Named
from ci import settings as ci_settings
from core.errors import NotFound, Refusal, Unauthorized
from forge import actions as forge
from forge import auto_deploys
from forge.models import AutoDeploy, Repository
from pipelines import access
from pipelines.models import Coupling, Pipeline
from releases import sources
from reviews import actions as reviews

router = Router(tags=["Fixed hosts"])


class TokenOut(Schema):
    """What opens the repositories."""

    token: str


class GithubAccountOut(Schema):
    """The account that reads repositories."""

    github: TokenOut


class AppRepositoryOut(Schema):
    """What an app is built from."""

    app_id: UUID
    repo: str
    branch: str = "main"
    auto_deploy: bool = False
    wait_for_ci: bool = False


class RepositoryOut(Schema):
    """A repository by id and name."""

    id: int
    name: str
    type: str = "git"


class PipelineRepositoryOut(Schema):
    """What a pipeline's apps are built from."""

    id: UUID
    pipeline: Named
    repository: RepositoryOut
    organization: Named | None
    ci: bool = False


class ArchiveOut(Schema):
    """Where a commit's files are."""

    archive_link: str


@router.get(f"/{KOLKRABBI}/account/github/token", response=GithubAccountOut, auth=None)
def github_token(request: HttpRequest) -> GithubAccountOut:
    """A token for the calls to GitHub's host. Who does not say who they are, which the CLI omits before
    `pipelines:connect`, gets one that opens nothing."""
    try:
        TokenAuth()(request)
    except Unauthorized:
        return GithubAccountOut(github=TokenOut(token="none"))  # noqa: S106
    token: ApiToken = request.token  # type: ignore[attr-defined]
    return GithubAccountOut(github=TokenOut(token=signing.dumps(str(token.pk), salt=SALT)))


class PullRequestsIn(Schema):
    """What becomes of pull requests; what is absent stays."""

    enabled: bool | None = None
    auto_deploy: bool | None = None
    auto_destroy: bool | None = None


class AppRepositoryIn(Schema):
    """What deploys to an app by itself, and whether its pipeline makes review apps; what is absent stays."""

    auto_deploy: bool | None = None
    branch: str | None = None
    wait_for_ci: bool | None = None
    pull_requests: PullRequestsIn | None = None


class TestsIn(Schema):
    """Whether pushes to the pipeline's code start test runs. Whose they are is not asked: it is the pipeline's."""

    ci: bool | None = None
    organization: str | None = None


class RepositoryIn(Schema):
    """The repository to connect, by the number that `/repos/{owner}/{repo}` told."""

    repository: int


@router.get(f"/{KOLKRABBI}/apps/{{app}}/github", response=AppRepositoryOut)
def app_repository(request: HttpRequest, app: str) -> AppRepositoryOut:
    """What the app is built from: all apps of a pipeline have the same."""
    return _followed(access.coupling_for(asker(request), app))


@router.patch(f"/{KOLKRABBI}/apps/{{app}}/github", response=AppRepositoryOut)
def link_app(request: HttpRequest, app: str, body: AppRepositoryIn) -> AppRepositoryOut:
    """Have a branch deploy to the app by itself, or no more; and its pipeline make review apps."""
    coupling = access.coupling_for(asker(request), app, to=access.DEPLOY)
    if body.pull_requests is not None:
        _review(coupling.pipeline, body.pull_requests, by=asker(request))
    now = _followed(coupling)
    if now.auto_deploy if body.auto_deploy is None else body.auto_deploy:
        branch = body.branch or now.branch
        wait = now.wait_for_ci if body.wait_for_ci is None else body.wait_for_ci
        auto_deploys.switch_on(coupling.app, branch=branch, wait_for_ci=wait, by=asker(request))
    else:
        auto_deploys.switch_off(coupling.app, by=asker(request))
    return _followed(coupling)


def _review(pipeline: Pipeline, asked: PullRequestsIn, *, by: User) -> None:
    found = access.pipeline_for(by, str(pipeline.pk), to=access.MANAGE)
    wished = {
        "enabled": asked.enabled, "automatic": asked.auto_deploy, "destroy_stale": asked.auto_destroy,
    }  # fmt: skip
    reviews.set_settings(found, by=by, **{name: value for name, value in wished.items() if value is not None})


def _followed(coupling: Coupling) -> AppRepositoryOut:
    row = AutoDeploy.objects.filter(app=coupling.app).first()
    name = f"{OWNER}/{coupling.pipeline.name}"
    if row is None:
        connected = Repository.objects.filter(pipeline=coupling.pipeline).first()
        branch = connected.default_branch if connected else "main"
        return AppRepositoryOut(app_id=coupling.app_id, repo=name, branch=branch)
    return AppRepositoryOut(
        app_id=coupling.app_id, repo=name, branch=row.branch, auto_deploy=True, wait_for_ci=row.wait_for_ci
    )


@router.get(f"/{KOLKRABBI}/pipelines/{{ref}}/repository", response=PipelineRepositoryOut)
def pipeline_repository(request: HttpRequest, ref: str) -> PipelineRepositoryOut:
    """What the pipeline's apps are built from, and the team that owns it."""
    return _connected(access.pipeline_for(asker(request), ref))


@router.post(f"/{KOLKRABBI}/pipelines/{{ref}}/repository", response={201: PipelineRepositoryOut})
def connect(request: HttpRequest, ref: str, body: RepositoryIn) -> Status[PipelineRepositoryOut]:
    """Connect the pipeline to a public repository of GitHub, which is watched without hooks. A token and hooks are for
    the dashboard."""
    found = access.pipeline_for(asker(request), ref, to=access.MANAGE)
    name = ASKED_FOR.name_of(body.repository)
    if not name:
        raise Refusal(f"Connect {found.name} to its repository in the dashboard: {_page(found)}")
    try:
        forge.connect(found, f"{settings.GITHUB_URL}/{name}.git", host="github", by=asker(request))
    except Refusal as no:
        raise Refusal(f"{no.message} With a token it can be connected at {_page(found)}") from no
    return Status(201, _connected(found))


@router.patch(f"/{KOLKRABBI}/pipelines/{{ref}}/repository", response=PipelineRepositoryOut)
def change_connection(request: HttpRequest, ref: str, body: TestsIn | None = None) -> PipelineRepositoryOut:
    """Have pushes start test runs, or no more. Anything else is for the dashboard."""
    if body is None or body.ci is None:
        found = access.pipeline_for(asker(request), ref)
        raise Refusal(f"What becomes of pushes is set in the dashboard: {_page(found)}")
    found = access.pipeline_for(asker(request), ref, to=access.MANAGE)
    supersede = ci_settings.settings_of(found).supersede
    ci_settings.set_settings(found, on_push=body.ci, supersede=supersede, by=asker(request))
    return _connected(found)


def _connected(pipeline: Pipeline) -> PipelineRepositoryOut:
    row = Repository.objects.filter(pipeline=pipeline).first()
    name = row.full_name if row else f"{OWNER}/{pipeline.name}"
    return PipelineRepositoryOut(
        id=pipeline.pk,
        pipeline=Named(id=pipeline.pk, name=pipeline.name),
        repository=RepositoryOut(id=number_of(name if row else f"{OWNER}/{pipeline.pk}"), name=name),
        organization=Named(id=pipeline.team.pk, name=pipeline.team.name) if pipeline.team else None,
    )


def _page(pipeline: Pipeline) -> str:
    return f"{settings.URL}/pipelines/{pipeline.name}/repository/"


@router.get(f"/{KOLKRABBI}/github/repos/{{owner}}/{{repo}}/tarball/{{path:ref}}", response=ArchiveOut)
def archive(request: HttpRequest, owner: str, repo: str, ref: str) -> ArchiveOut:
    """Where to say that the files of a branch are: builds take them from the public repository that a pipeline of the
    asker's is connected to. Of commits there is none: the CLI uploads the files of its own folder then."""
    by = asker(request)
    rows = Repository.objects.filter(
        host="github", full_name=f"{owner}/{repo}", private=False, pipeline__in=access.pipelines_for(by)
    )
    found = next((row for row in rows if ref in row.heads), None)
    if found is None:
        raise NotFound(
            f"No pipeline of yours is connected to a branch {ref[:60]} of {owner[:60]}/{repo[:60]}."
        )
    return ArchiveOut(archive_link=sources.create_of_repository(found.url, ref, user=by)[1])
