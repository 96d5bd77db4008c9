"""The Deploy page of an app: ways to bring code here, the branches that were pushed, and the builds so far."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator

from accounts.access import DEPLOY
from accounts.models import ApiToken, User
from apps import stacks
from apps.models import App
from ci.results import result_of
from dashboard import panels, standing
from dashboard.forms import Form
from dashboard.standing import Standing
from forge.code import branches_of, place_of
from forge.models import AutoDeploy
from pipelines.models import Coupling, Pipeline, Stage
from releases import doors, estimates, repositories
from releases.models import OPEN, Build, Release
from releases.repositories import Branch

PER_PAGE = 20
SHOWN = 8  # branches; more are found by typing their name
FORMS = ("ref", "url", "image", "archive", "auto", "now")


@dataclass(frozen=True)
class BranchNow:
    """A branch of the app's repository, and what became of its newest commit."""

    branch: Branch
    build: Build | None  # the last of that very commit
    current: bool  # it is the code that serves now
    ahead: int | None  # commits that the serving code lacks; None when that can't be told

    @property
    def state(self) -> Standing:
        """How that commit stands."""
        if self.current:
            return Standing("live", "Live")
        return standing.of_build(self.build) if self.build else Standing("idle", "Not deployed")

    @property
    def deploys(self) -> bool:
        """Whether pushing it deploys it."""
        return f"refs/heads/{self.branch.name}" in repositories.DEPLOYING


def page(app: App, user: User, number: str, **forms: Form) -> dict[str, Any]:
    """The whole page, with page `number` of the builds. `forms` are those that came back with an error. Branches are
    for who may read the code: the same right as to fetch it by Git."""
    shown = builds(app, user, number)
    found = repositories.branches(app) if DEPLOY in shown["rights"] else []
    return {
        **shown,
        **_followed(app, shown["pipeline"], shown["rights"]),
        "closed": _closed(app, user, shown["coupling"]),
        "came_back": bool(forms),
        "git_url": app.git_url,
        "has_containers": stacks.has_containers(),
        "body_limit": settings.BODY_BYTES,
        "has_token": ApiToken.objects.valid().filter(user=user).exists(),
        "branches": branches(app, found[:SHOWN]),
        "branch_names": [branch.name for branch in found],
        "more_branches": len(found) > SHOWN,
        "forms": {name: Form() for name in FORMS} | forms,
    }


def _closed(app: App, user: User, coupling: Coupling | None) -> str:
    """Why no code comes here but by promotion, and where to bring it instead; empty where it does."""
    if coupling is None or coupling.stage.source != Stage.Origin.PROMOTION:
        return ""
    return " ".join(doors.against(app, user))


def _followed(app: App, pipeline: Pipeline | None, rights: frozenset[str]) -> dict[str, Any]:
    """The branch that deploys by itself, and what other code of the pipeline could be deployed. Names of branches are
    for who may read the code."""
    place = place_of(pipeline) if pipeline and not app.ephemeral else None
    if pipeline is None or place is None:
        return {"auto": None, "code": None}
    auto = AutoDeploy.objects.select_related("by").filter(app=app).first()
    return {
        "auto": auto,
        "stopped": result_of(pipeline, auto.commit) if auto and auto.waits else None,
        "code": place,
        "code_branches": sorted(branches_of(pipeline))[:200] if DEPLOY in rights else [],
    }


def builds(app: App, user: User, number: str) -> dict[str, Any]:
    """The list of builds alone."""
    shown = Paginator(panels.builds(app), PER_PAGE).get_page(number)
    return {
        **panels.frame(app, user, "deploy"),
        "page": shown,
        "under_way": any(build.status in OPEN for build in shown),
        "usual": estimates.expected(app, "build"),
    }


def branches(app: App, found: list[Branch]) -> list[BranchNow]:
    """What became of each branch, in two queries."""
    shas = [branch.commit.sha for branch in found]
    rows = (
        Build.objects.filter(app=app, source__commit__in=shas).select_related("source").order_by("created_at")
    )
    last = {build.source.commit: build for build in rows}
    current = Release.objects.current_for(app) if found else None
    serving = current.slug.commit if current and current.slug else ""
    return [
        BranchNow(
            branch,
            last.get(branch.commit.sha),
            branch.commit.sha == serving,
            repositories.ahead(app, serving, branch.commit.sha),
        )
        for branch in found
    ]
