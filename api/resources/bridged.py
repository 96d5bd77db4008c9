"""What the Heroku CLI asks of hosts whose names are fixed in its code. `bin/cli-bridge` brings these calls here, each
below the name of the host that it was for; rights are those of the API.

GitHub's part is played by the apps' own repositories: `slipway/<pipeline>` is what a pipeline's apps are built from,
as long as it is connected to no other.
"""

import threading
from contextlib import suppress
from datetime import datetime
from uuid import UUID, uuid5

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from ninja.security.base import AuthBase

from accounts.models import ApiToken, User
from api.asker import asker
from api.http import TokenAuth
from api.resources.autoscaling import MONITORS
from api.shapes.base import Named, Time
from apps import access as app_access
from apps import errors
from apps.models import Formation
from ci import settings as ci_settings
from core.errors import NotFound, Refusal, Unauthorized
from core.names import NAMESPACE
from forge import actions as forge
from forge import auto_deploys
from forge.models import AutoDeploy, Repository
from pipelines import access, comparing, notifications
from pipelines import favorites as favorites_of
from pipelines.models import Coupling, Pipeline
from releases import sources
from releases.commits import Commit
from reviews import actions as reviews

PARTICLEBOARD = "particleboard.heroku.com"
TELEX = "telex.heroku.com"
METRICS = "api.metrics.herokai.com"
KOLKRABBI = "kolkrabbi.heroku.com"
GITHUB = "api.github.com"
HOSTS = (PARTICLEBOARD, TELEX, METRICS, MONITORS, KOLKRABBI, GITHUB)

OWNER = "slipway"  # of all repositories, where GitHub has a person or an organization
SALT, LASTS = "cli-bridge.github", 600  # seconds

router = Router(tags=["Fixed hosts"])


class AskedFor:
    """The names of the repositories that were asked for last, by the number that was told for each: the CLI connects
    one by its number, right after it has asked. Each process remembers its own."""

    MOST = 256

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._lock = threading.Lock()

    def note(self, number: int, name: str) -> None:
        """Remember a name."""
        with self._lock:
            self._names.pop(number, None)
            self._names[number] = name
            while len(self._names) > self.MOST:
                del self._names[next(iter(self._names))]

    def name_of(self, number: int) -> str:
        """The name, empty when it has not been asked for lately."""
        with self._lock:
            return self._names.get(number, "")


ASKED_FOR = AskedFor()


# --- favorites --------------------------------------------------------------------------------------------------------


class FavoriteIn(Schema):
    """What to make a favorite, by name or id."""

    type: str
    resource_id: str


class FavoriteOut(Schema):
    """A favorite."""

    id: UUID
    type: str
    resource_id: UUID
    resource_name: str
    created_at: Time

    @classmethod
    def of(cls, favored: favorites_of.Favored) -> "FavoriteOut":
        return cls(
            id=favored.id, type=favored.kind, resource_id=favored.thing, resource_name=favored.name,
            created_at=favored.created_at,
        )  # fmt: skip


@router.get(f"/{PARTICLEBOARD}/favorites", response=list[FavoriteOut])
def favorites(request: HttpRequest, type: str = "") -> list[FavoriteOut]:
    """The asker's favorites, of one type (`app`, `pipeline`) if it is given."""
    return [
        FavoriteOut.of(row) for row in favorites_of.favorites(asker(request), _kind(type) if type else "")
    ]


@router.post(f"/{PARTICLEBOARD}/favorites", response={201: FavoriteOut})
def favor(request: HttpRequest, body: FavoriteIn) -> Status[FavoriteOut] | HttpResponse:
    """Make an app or a pipeline a favorite."""
    try:
        made = favorites_of.favor(_kind(body.type), body.resource_id, by=asker(request))
    except NotFound as error:  # only an answer without JSON makes the CLI say so: else it trips over itself
        return HttpResponse(error.message, status=404, content_type="text/plain")
    return Status(201, FavoriteOut.of(made))


@router.delete(f"/{PARTICLEBOARD}/favorites/{{ref}}", response=FavoriteOut)
def unfavor(request: HttpRequest, ref: UUID) -> FavoriteOut:
    """Take a favorite away."""
    return FavoriteOut.of(favorites_of.unfavor(ref, by=asker(request)))


def _kind(text: str) -> str:
    if text not in favorites_of.Kind.values:
        raise Refusal(f"A favorite is one of: {', '.join(favorites_of.Kind.values)}.")
    return text


# --- notifications ----------------------------------------------------------------------------------------------------


class ReadIn(Schema):
    """Whether it has been read."""

    read: bool


class TargetOut(Schema):
    """What a notification is about."""

    type: str
    id: UUID
    name: str


class NotificationOut(Schema):
    """Something to hear of."""

    id: UUID
    title: str
    body: str
    read: bool
    target: TargetOut
    created_at: Time
    followup: list[str] = []

    @classmethod
    def of(cls, told: notifications.Notification) -> "NotificationOut":
        target = TargetOut(type=told.about, id=told.thing, name=told.name)
        return cls(
            id=told.id, title=told.title, body=told.body, read=told.read, target=target, created_at=told.at
        )


@router.get(f"/{TELEX}/user/notifications", response=list[NotificationOut])
def told(request: HttpRequest) -> list[NotificationOut]:
    """Offers and invitations that wait for the asker, and what failed in their apps in the last 14 days."""
    return [NotificationOut.of(one) for one in notifications.notifications(asker(request))]


@router.patch(f"/{TELEX}/user/notifications/{{ref}}", response=NotificationOut)
def read(request: HttpRequest, ref: UUID, body: ReadIn) -> NotificationOut:
    """Note that a notification has been read."""
    return NotificationOut.of(notifications.mark(ref, read=body.read, by=asker(request)))


# --- errors -----------------------------------------------------------------------------------------------------------


class ErrorsOut(Schema):
    """How often each error came, hour by hour from `start_time` on."""

    start_time: Time
    end_time: Time
    step: str = "1h"
    data: dict[str, list[int]]


@router.get(f"/{METRICS}/apps/{{app}}/router-metrics/errors", response=ErrorsOut)
def router_errors(
    request: HttpRequest, response: HttpResponse, app: str, start_time: datetime, end_time: datetime
) -> ErrorsOut:
    """The router's error codes, counted in the app's log as far as it goes back."""
    found = app_access.app_for(asker(request), app)
    start, end = _aware(start_time), _aware(end_time)
    return _counted(response, errors.router_errors(found, start, end), start, end)


@router.get(f"/{METRICS}/apps/{{app}}/formation/{{type}}/metrics/errors", response=ErrorsOut)
def dyno_errors(
    request: HttpRequest,
    response: HttpResponse,
    app: str,
    type: str,
    start_time: datetime,
    end_time: datetime,
) -> ErrorsOut:
    """The error codes of a process type's dynos, counted in the app's log as far as it goes back."""
    found = app_access.app_for(asker(request), app)
    if not Formation.objects.filter(app=found, type=type).exists():
        # By the first three words the CLI knows that this is no failure.
        raise Refusal("invalid process_type provided", id="bad_request", status=400)
    start, end = _aware(start_time), _aware(end_time)
    return _counted(response, errors.dyno_errors(found, type, start, end), start, end)


def _counted(response: HttpResponse, found: errors.Errors, start: datetime, end: datetime) -> ErrorsOut:
    if found.since:
        began = f"{found.since:%Y-%m-%d %H:%M}"
        response.headers["Warning-Message"] = (
            f"The log goes back to {began} UTC only; older errors are not counted."
        )
    return ErrorsOut(start_time=start, end_time=end, data=found.counts)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise Refusal("Times end with their zone: 2026-01-31T12:00:00Z.")
    return moment


# --- repositories: the part of GitHub and of what connects to it ------------------------------------------------------


class GithubAuth(AuthBase):
    """The short-lived token that `/account/github/token` gave: it stands for the API token that was shown there, and
    reads repositories, no more."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> User:
        secret = request.headers.get("Authorization", "").partition(" ")[2].strip()
        try:
            id = UUID(signing.loads(secret, salt=SALT, max_age=LASTS))
        except (signing.BadSignature, ValueError, TypeError):
            raise Unauthorized("Invalid credentials provided.") from None
        token = ApiToken.objects.valid().filter(pk=id).select_related("user").first()
        if token is None:
            raise Unauthorized("Invalid credentials provided.")
        request.user = token.user
        return token.user


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
        repository=RepositoryOut(id=_number(name if row else f"{OWNER}/{pipeline.pk}"), name=name),
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


class CommitterOut(Schema):
    """Who wrote a commit, and when."""

    name: str
    email: str
    date: Time | None


class CommitTextOut(Schema):
    """What a commit says."""

    message: str
    author: CommitterOut
    committer: CommitterOut


class CommitOut(Schema):
    """A commit, as GitHub tells of one."""

    sha: str
    html_url: str
    commit: CommitTextOut

    @classmethod
    def of(cls, commit: Commit, page: str) -> "CommitOut":
        by = CommitterOut(name=commit.author, email=commit.author_email, date=commit.at)
        text = CommitTextOut(message=commit.message, author=by, committer=by)
        return cls(sha=commit.sha, html_url=page, commit=text)


class ComparisonOut(Schema):
    """How two commits differ, as GitHub tells it."""

    status: str
    ahead_by: int
    behind_by: int
    total_commits: int
    html_url: str
    commits: list[CommitOut]


class GithubRepositoryOut(Schema):
    """A repository, as GitHub tells of one."""

    id: int
    name: str
    full_name: str
    default_branch: str = "main"
    private: bool = True


@router.get(f"/{GITHUB}/repos/{{owner}}/{{repo}}", response=GithubRepositoryOut, auth=None)
def repository(request: HttpRequest, owner: str, repo: str) -> GithubRepositoryOut:
    """Whatever is asked for: whether it is there is found out, and said in words that the CLI shows, when it is connected.
    Its default branch is looked up for who says who they are."""
    full = f"{owner[:100]}/{repo[:100]}"
    ASKED_FOR.note(_number(full), full)
    answer = GithubRepositoryOut(id=_number(full), name=repo[:100], full_name=full)
    with suppress(Unauthorized, Refusal):
        GithubAuth()(request)
        answer.default_branch = forge.look(f"{settings.GITHUB_URL}/{full}.git", host="github").default_branch
    return answer


@router.get(f"/{GITHUB}/repos/{{owner}}/{{repo}}/compare/{{span}}", response=ComparisonOut, auth=GithubAuth())
def compare(request: HttpRequest, owner: str, repo: str, span: str) -> ComparisonOut:
    """What the second commit has that the first has not: `<sha>...<sha>`, in the repositories of a pipeline's apps."""
    if owner != OWNER:
        raise NotFound("Couldn't find that repository.", resource="repository")
    by = asker(request)
    pipeline = access.pipeline_for(by, repo)
    base, _, head = span.partition("...")
    found = comparing.compare(pipeline, base, head, by=by)
    page = f"{settings.URL}/pipelines/{pipeline.name}/"
    return ComparisonOut(
        status=found.status, ahead_by=found.ahead, behind_by=found.behind, total_commits=found.ahead,
        html_url=page, commits=[CommitOut.of(commit, page) for commit in found.commits],
    )  # fmt: skip


def _number(text: str) -> int:
    return uuid5(NAMESPACE, text).int >> 96
