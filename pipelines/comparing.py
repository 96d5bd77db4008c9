"""How two commits of a pipeline differ, from the repositories of its apps."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from accounts.models import User
from apps import access as app_access
from apps.models import App
from core.errors import NotFound
from pipelines import access
from pipelines.models import Pipeline
from releases import repositories
from releases.commits import Commit
from releases.models import Slug

MOST = 250  # commits that are told one by one


@dataclass(frozen=True)
class Comparison:
    """What `head` has that `base` has not, in the repository of `app`."""

    app: App
    base: str
    head: str
    ahead: int
    behind: int
    commits: list[Commit]  # the last `MOST` of those ahead, oldest first

    @property
    def status(self) -> str:
        """In one word."""
        if self.ahead and self.behind:
            return "diverged"
        return "ahead" if self.ahead else "behind" if self.behind else "identical"


def compare(pipeline: Pipeline, base: str, head: str, *, by: User) -> Comparison:
    """Compare two commits, given in full. `NotFound` when no repository that `by` may view has both: the apps of the
    pipeline, and those where what its apps run was built."""
    for app in _repositories(pipeline, base, head, by):
        ahead, behind = repositories.ahead(app, base, head), repositories.ahead(app, head, base)
        if ahead is not None and behind is not None:
            found = repositories.commits_between(app, base, head, limit=MOST) if ahead else []
            return Comparison(app, base, head, ahead, behind, found[::-1])
    raise NotFound(
        f"No app of {pipeline.name} has both commits in its repository. Push them to one of its apps.",
        resource="commit",
    )


def _repositories(pipeline: Pipeline, base: str, head: str, by: User) -> Iterator[App]:
    couplings = access.visible_couplings(by, pipeline)
    apps = [coupling.app for coupling in couplings.order_by("stage__position", "app__name")]
    built: list[UUID] = list(
        Slug.objects.filter(releases__app__in=apps, commit__in=[base, head])
        .exclude(app__in=apps)
        .values_list("app", flat=True)
        .distinct()
    )
    yield from apps
    yield from app_access.apps_for(by).filter(pk__in=built)
