"""The code of a pipeline, wherever it lives: in the repository that is connected, or else in those of its apps here."""

from dataclasses import dataclass

from accounts.models import User
from apps.models import App
from core.errors import Refusal
from forge.models import Repository
from pipelines.models import Coupling, Pipeline
from releases import remotes, repositories
from releases.checkouts import told_by
from releases.models import Source


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
    rows = Coupling.objects.filter(pipeline=pipeline, app__destroyed_at=None).select_related("app")
    return next((Place(app=row.app) for row in rows if repositories.branches(row.app)), None)


def source_of(pipeline: Pipeline, ref: str, *, into: App, by: User | None, branch: str = "") -> Source:
    """A source for `into` of a branch, tag or commit of the pipeline's code. `Refusal` when there is no such thing; of
    a connected repository that is found out when it is fetched, by the build."""
    place = place_of(pipeline)
    if place is None:
        raise Refusal(f"{pipeline.name} has no code yet. Push to one of its apps, or connect a repository.")
    if place.repository:
        return Source.objects.create(
            app=into,
            user=by,
            repository=place.repository.url,
            ref=remotes.check_ref(ref),
            branch=branch[:255],
        )
    assert place.app is not None
    found = repositories.find(place.app, ref)
    if found is None:
        raise Refusal(
            f"The repository of {place.app.name} has no branch, tag or commit “{ref[:40]}”. Push it first.",
            fields={"branch": "There is no such branch. Push it first."},
        )
    commit, name = found
    return Source.objects.create(
        app=into, user=by, ref=ref[:255], branch=(name or branch)[:255], origin=place.app, **told_by(commit)
    )
