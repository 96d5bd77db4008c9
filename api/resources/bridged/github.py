"""The part of GitHub's own host. It is played by the apps' own repositories: `slipway/<pipeline>` is what a pipeline's apps
are built from, as long as it is connected to no other."""

import threading
from contextlib import suppress
from uuid import UUID, uuid5

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from ninja import Router, Schema
from ninja.security.base import AuthBase

from accounts.models import ApiToken, User
from api.asker import asker
from api.resources.bridged.hosts import GITHUB
from api.shapes.base import Time
from core.errors import NotFound, Refusal, Unauthorized
from core.names import NAMESPACE
from forge import actions as forge
from pipelines import access, comparing
from releases.commits import Commit

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
    ASKED_FOR.note(number_of(full), full)
    answer = GithubRepositoryOut(id=number_of(full), name=repo[:100], full_name=full)
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


def number_of(text: str) -> int:
    """The number by which the CLI knows the repository of this name."""
    return uuid5(NAMESPACE, text).int >> 96
