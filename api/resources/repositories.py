"""Where a pipeline's code is: its repository, the branches of that, and what deploys by itself."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status

from api.asker import asker
from api.shapes.base import Named, Time
from apps import access as app_access
from core import names
from core.errors import NotFound
from forge import actions, auto_deploys
from forge.code import branches_of, place_of
from forge.models import AutoDeploy, Repository
from pipelines import access
from pipelines.models import Pipeline

router = Router(tags=["Repositories"])
OWNER = "slipway"  # of the code of a pipeline that is connected to no repository


class RepositoryIn(Schema):
    """A repository to connect: any host of git that speaks smart HTTP. `host` is github, gitlab, gitea, bitbucket or git,
    found out by the address when it is left out."""

    url: str
    host: str = ""
    token: str = ""
    default_branch: str = ""
    polls: bool = True


class RepositoryChange(Schema):
    """What of it can be changed; an empty token is none."""

    token: str | None = None
    default_branch: str = ""
    polls: bool | None = None


class HookOut(Schema):
    """Where its host sends hooks. The secret is told once, when it is made."""

    url: str
    enabled: bool
    secret: str | None = None


class RepositoryOut(Schema):
    """A pipeline's repository."""

    id: UUID
    pipeline: Named
    full_name: str
    host: str | None
    url: str | None
    default_branch: str
    private: bool
    polls: bool
    has_token: bool
    error: str | None
    hook: HookOut | None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Repository, *, secret: str | None = None, managed: bool = False) -> "RepositoryOut":
        """`managed`: for who may manage the pipeline, who is told where hooks go."""
        hook = HookOut(url=actions.hook_url(row), enabled=bool(row.sealed_secret), secret=secret)
        return cls(
            id=row.pk, pipeline=Named(id=row.pipeline_id, name=row.pipeline.name), full_name=row.full_name,
            host=row.host, url=row.url, default_branch=row.default_branch, private=row.private, polls=row.polls,
            has_token=bool(row.sealed_token), error=row.error or None, hook=hook if managed else None,
            created_at=row.created_at, updated_at=row.updated_at,
        )  # fmt: skip

    @classmethod
    def own(cls, pipeline: Pipeline) -> "RepositoryOut":
        """The code that is pushed to the pipeline's apps, as a repository."""
        return cls(
            id=names.fixed("repository", str(pipeline.pk)), pipeline=Named(id=pipeline.pk, name=pipeline.name),
            full_name=f"{OWNER}/{pipeline.name}", host=None, url=None, default_branch="main", private=True,
            polls=False, has_token=False, error=None, hook=None,
            created_at=pipeline.created_at, updated_at=pipeline.updated_at,
        )  # fmt: skip


class BranchOut(Schema):
    """A branch, and the commit that it names as far as is known."""

    name: str
    commit: str


class AutoDeployIn(Schema):
    """The branch to follow."""

    branch: str
    wait_for_ci: bool = False
    path: str = ""


class AutoDeployOut(Schema):
    """A branch whose new commits deploy by themselves."""

    id: UUID
    app: Named
    branch: str
    wait_for_ci: bool
    path: str
    commit: str
    waits: bool
    note: str
    created_at: Time

    @classmethod
    def of(cls, row: AutoDeploy) -> "AutoDeployOut":
        return cls(
            id=row.pk, app=Named(id=row.app_id, name=row.app.name), branch=row.branch, wait_for_ci=row.wait_for_ci,
            path=row.path, commit=row.commit, waits=row.waits, note=row.note, created_at=row.created_at,
        )  # fmt: skip


@router.get("/pipelines/{pipeline}/repo", response=RepositoryOut)
def show(request: HttpRequest, pipeline: str) -> RepositoryOut:
    """The repository of a pipeline; without a connected one, what is pushed to its apps."""
    found, rights = access.pipeline_and_rights(asker(request), pipeline)
    row = Repository.objects.select_related("pipeline").filter(pipeline=found).first()
    return RepositoryOut.of(row, managed=access.MANAGE in rights) if row else RepositoryOut.own(found)


@router.post("/pipelines/{pipeline}/repo", response={201: RepositoryOut})
def connect(request: HttpRequest, pipeline: str, body: RepositoryIn) -> Status[RepositoryOut]:
    """Connect a pipeline to a repository. The answer tells the secret of its hooks, this once."""
    found = access.pipeline_for(asker(request), pipeline, to=access.MANAGE)
    row, secret = actions.connect(found, **body.dict(), by=asker(request))
    return Status(201, RepositoryOut.of(row, secret=secret, managed=True))


@router.patch("/pipelines/{pipeline}/repo", response=RepositoryOut)
def change(request: HttpRequest, pipeline: str, body: RepositoryChange) -> RepositoryOut:
    """Change the token, the default branch, and whether it is looked at without hooks."""
    row = _row(request, pipeline)
    polls = row.polls if body.polls is None else body.polls
    changed = actions.change(
        row, token=body.token, default_branch=body.default_branch, polls=polls, by=asker(request)
    )
    return RepositoryOut.of(changed, managed=True)


@router.delete("/pipelines/{pipeline}/repo", response=RepositoryOut)
def disconnect(request: HttpRequest, pipeline: str) -> RepositoryOut:
    """Leave the repository: the code is what is pushed to the apps again."""
    row = _row(request, pipeline)
    told = RepositoryOut.of(row)
    actions.disconnect(row, by=asker(request))
    return told


@router.post("/pipelines/{pipeline}/repo/secret", response={201: HookOut})
def renew_secret(request: HttpRequest, pipeline: str) -> Status[HookOut]:
    """Make another secret for the hooks, and tell it this once."""
    row = _row(request, pipeline)
    secret = actions.renew_secret(row, by=asker(request))
    return Status(201, HookOut(url=actions.hook_url(row), enabled=True, secret=secret))


@router.get("/pipelines/{pipeline}/repo/branches/{path:branch}", response=BranchOut)
def branch(request: HttpRequest, pipeline: str, branch: str) -> BranchOut:
    """A branch of a pipeline's code, for who may deploy it."""
    found = access.pipeline_for(asker(request), pipeline, to=access.DEPLOY)
    commit = branches_of(found).get(branch)
    if commit is None:
        place = place_of(found)
        raise NotFound(f"{place.name if place else found.name} has no such branch.", resource="branch")
    return BranchOut(name=branch, commit=commit)


@router.get("/apps/{app}/auto-deploy", response=AutoDeployOut)
def followed(request: HttpRequest, app: str) -> AutoDeployOut:
    """The branch that deploys to an app by itself."""
    found = app_access.app_for(asker(request), app)
    row = AutoDeploy.objects.select_related("app").filter(app=found).first()
    if row is None:
        raise NotFound(f"No branch deploys to {found.name} by itself.", resource="auto_deploy")
    return AutoDeployOut.of(row)


@router.put("/apps/{app}/auto-deploy", response=AutoDeployOut)
def follow(request: HttpRequest, app: str, body: AutoDeployIn) -> AutoDeployOut:
    """Have new commits of a branch of the pipeline's code deploy by themselves, in one's own name."""
    found = app_access.app_for(asker(request), app, to=app_access.DEPLOY)
    return AutoDeployOut.of(auto_deploys.switch_on(found, **body.dict(), by=asker(request)))


@router.delete("/apps/{app}/auto-deploy", response=AutoDeployOut)
def unfollow(request: HttpRequest, app: str) -> AutoDeployOut:
    """Have it deploy by itself no more."""
    found = app_access.app_for(asker(request), app, to=app_access.DEPLOY)
    told = followed(request, app)
    auto_deploys.switch_off(found, by=asker(request))
    return told


def _row(request: HttpRequest, ref: str) -> Repository:
    pipeline = access.pipeline_for(asker(request), ref, to=access.MANAGE)
    row = Repository.objects.select_related("pipeline").filter(pipeline=pipeline).first()
    if row is None:
        raise NotFound(f"{pipeline.name} is connected to no repository.", resource="repository")
    return row
