"""The code of a pipeline, wherever it lives: in the repository that is connected, or else in those of its apps here."""

from collections.abc import Iterator
from dataclasses import dataclass

from accounts.models import User
from apps.models import App
from core.errors import Refusal
from forge.models import Grant, Repository
from pipelines.models import Coupling, Pipeline
from releases import remotes, repositories
from releases.checkouts import told_by
from releases.models import Source

MOST = 1000  # branches of an app's own repository that are looked at


@dataclass(frozen=True)
class Place:
    """Where the pipeline's code is: a connected repository, or an app's own."""

    repository: Repository | None = None
    app: App | None = None

    @property
    def name(self) -> str:
        """For people."""
        if self.repository:
            return self.repository.full_name
        return self.app.name if self.app else ""


def place_of(pipeline: Pipeline) -> Place | None:
    """Where its code is. Without a connected repository: that of the first of its apps, from the left of the board,
    that has been pushed to. None when there is no code yet."""
    connected = Repository.objects.filter(pipeline=pipeline).first()
    if connected:
        return Place(repository=connected)
    app = next(apps_with_code(pipeline), None)
    return Place(app=app) if app else None


def branches_of(pipeline: Pipeline) -> dict[str, str]:
    """{branch: commit} of the pipeline's code, as far as is known."""
    place = place_of(pipeline)
    if place is None:
        return {}
    if place.repository:
        return dict(place.repository.heads)
    assert place.app is not None
    return {branch.name: branch.commit.sha for branch in repositories.branches(place.app, limit=MOST)}


def source_of(pipeline: Pipeline, ref: str, *, into: App, by: User | None, branch: str = "") -> Source:
    """A source for `into` of a branch, tag or commit of the pipeline's code. `Refusal` when there is no such thing; of
    a connected repository that is found out when it is fetched, by the build."""
    place = place_of(pipeline)
    if place is None:
        raise Refusal(f"{pipeline.name} has no code yet. Push to one of its apps, or connect a repository.")
    if place.repository:
        return _elsewhere(place.repository, ref, into, by, branch)
    for app in apps_with_code(pipeline):
        found = repositories.find(app, ref)
        if found is not None:
            commit, name = found
            return Source.objects.create(
                app=into,
                user=by,
                ref=ref[:255],
                branch=(branch or name)[:255],
                origin=app,
                **told_by(commit),
            )
    raise Refusal(
        f"No app of {pipeline.name} has a branch, tag or commit “{ref[:40]}”. Push it first.",
        fields={"branch": "There is no such branch. Push it first."},
    )


def _elsewhere(repository: Repository, ref: str, into: App, by: User | None, branch: str) -> Source:
    if branch and repositories.SHORT_SHA.fullmatch(ref) and not repositories.SHA.fullmatch(ref):
        ref = branch  # Bitbucket tells the first digits of a commit only, by which nothing can be fetched
    ref = remotes.check_ref(ref)
    source = Source.objects.create(app=into, user=by, repository=repository.url, ref=ref, branch=branch[:255])
    Grant.objects.create(source=source, repository=repository)
    return source


def apps_with_code(pipeline: Pipeline) -> Iterator[App]:
    """The apps that have been pushed to, from the left of the board: the first is where branches are looked up first."""
    rows = Coupling.objects.filter(pipeline=pipeline, app__destroyed_at=None, app__ephemeral="")
    rows = rows.select_related("app")
    return (row.app for row in rows if repositories.branches(row.app, limit=1))
