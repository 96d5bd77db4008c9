"""The review column of a board: a card for each review app, and for each open pull request that has none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from accounts.access import DEPLOY
from accounts.models import User
from ci.models import ENDED, State, TestRun
from dashboard.links import link
from dashboard.standing import Standing
from forge.models import PullRequest
from pipelines.models import Pipeline
from reviews.access import seen_by, sees_all
from reviews.models import ReviewApp, ReviewSettings

OPEN_SHOWN = 50  # pull requests without a review app
OF_ROW = {
    ReviewApp.State.PENDING: Standing("waiting", "Waiting"),
    ReviewApp.State.CREATING: Standing("building", "Creating"),
    ReviewApp.State.CREATED: Standing("live", "Live"),
    ReviewApp.State.ERRORED: Standing("failed", "Failed"),
    ReviewApp.State.DELETING: Standing("waiting", "Going"),
    ReviewApp.State.DELETED: Standing("stopped", "Gone"),
}
NONE = Standing("idle", "No review app")
CI = {State.SUCCEEDED: Standing("passed", "CI passed"), State.FAILED: Standing("failed", "CI failed")}
CI_ERRORED, CI_RUNS = Standing("failed", "CI errored"), Standing("building", "CI running")


@dataclass
class ReviewCard:
    """One review app, or a pull request that could have one. `card` is the app's own card, where there is an app."""

    pipeline: Pipeline
    rights: frozenset[str]
    row: ReviewApp | None = None
    pull_request: PullRequest | None = None
    card: Any = None
    ci: Standing | None = None
    review: bool = True  # for templates, which have other cards too

    @property
    def title(self) -> str:
        """What it is about."""
        found = self.pull_request.title if self.pull_request else ""
        part = f", {self.row.part}" if self.row and self.row.part else ""
        return (found or self.branch) + part

    @property
    def branch(self) -> str:
        return self.row.branch if self.row else self.pull_request.branch if self.pull_request else ""

    @property
    def author(self) -> str:
        """Who wrote it, for their initials."""
        if self.pull_request:
            return self.pull_request.author
        return self.row.by.get_full_name() if self.row and self.row.by else ""

    @property
    def fork(self) -> str:
        """The repository that it comes from, where that is a stranger's."""
        return self.pull_request.from_fork if self.pull_request else ""

    @property
    def state(self) -> Standing:
        """How it stands: as its app does, once that is made."""
        if self.row is None:
            return NONE
        if self.row.state in (ReviewApp.State.CREATED, ReviewApp.State.CREATING) and self.card is not None:
            own: Standing = self.card.state
            if self.row.state == ReviewApp.State.CREATED or own.kind in ("building", "releasing"):
                return own
        return OF_ROW[ReviewApp.State(self.row.state)]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The states that it is counted among."""
        return (self.state.kind,) if self.row else ()

    @property
    def message(self) -> str:
        """What it waits for, or why it failed."""
        return self.row.message if self.row else ""

    @property
    def words(self) -> str:
        """What the filter box looks through."""
        number = f"#{self.pull_request.number}" if self.pull_request else ""
        return " ".join([self.title, self.branch, self.author, number, self.app_name]).lower()

    @property
    def app_name(self) -> str:
        return self.row.app.name if self.row and self.row.app else ""

    @property
    def id(self) -> str:
        """Of its element on the page."""
        return (
            f"review-{self.row.pk}"
            if self.row
            else f"pull-{self.pull_request.pk if self.pull_request else 0}"
        )

    @property
    def url(self) -> str:
        """Where there is more to see of it."""
        if self.row:
            return link("review-app", self.pipeline.name, self.row.pk)
        return self.pull_request.url if self.pull_request else ""

    @property
    def site(self) -> str:
        return self.row.app.web_url if self.row and self.row.app else ""

    @property
    def logs(self) -> str:
        return link("app-logs", self.row.app.name) if self.row and self.row.app else ""

    @property
    def may_deploy(self) -> bool:
        return DEPLOY in self.rights

    @property
    def failed(self) -> bool:
        return bool(self.row and self.row.state == ReviewApp.State.ERRORED and not self.row.gone)

    @property
    def asks(self) -> bool:
        """Whether newer commits of a fork wait for a yes."""
        row, pull_request = self.row, self.pull_request
        return bool(
            row and row.from_fork and pull_request and not row.gone and row.commit != pull_request.commit
        )


def review_cards(
    pipeline: Pipeline,
    user: User,
    settings: ReviewSettings | None,
    cards: Sequence[Any],
    rights: frozenset[str],
) -> list[ReviewCard]:
    """All of them, those of the newest pull requests first. `cards` are of the apps in the review stage. No query for a
    pipeline that never had review apps; else two at most."""
    if settings is None:
        return []
    by_app = {card.app.pk: card for card in cards}
    everything = sees_all(user, pipeline, rights)
    rows = _rows(seen_by(user, pipeline, all_of_them=everything))
    found = [_of_row(row, pipeline, rights, by_app) for row in rows]
    if settings.enabled and everything:
        found += [
            ReviewCard(pipeline, rights, pull_request=row, ci=_ci(row.ci))
            for row in _with_ci(_without_app(pipeline))
        ]
    return sorted(found, key=lambda card: -(card.pull_request.number if card.pull_request else 0))


def one_card(row: ReviewApp, cards: Iterable[Any], rights: frozenset[str]) -> ReviewCard:
    """A card alone; `cards` has that of its app, if there is one."""
    by_app = {card.app.pk: card for card in cards}
    (found,) = _rows(ReviewApp.objects.filter(pk=row.pk))
    return _of_row(found, row.pipeline, rights, by_app)


def _rows(rows: "QuerySet[ReviewApp]") -> "QuerySet[Any]":
    return _with_ci(rows.select_related("app", "pull_request", "by"))


def _of_row(row: Any, pipeline: Pipeline, rights: frozenset[str], by_app: Mapping[Any, Any]) -> ReviewCard:
    card = by_app.get(row.app_id)
    return ReviewCard(pipeline, rights, row, row.pull_request, card, _ci(row.ci))


def _without_app(pipeline: Pipeline) -> "QuerySet[PullRequest]":
    rows = PullRequest.objects.filter(repository__pipeline=pipeline, state=PullRequest.State.OPEN)
    have = ReviewApp.objects.filter(pull_request=OuterRef("pk")).exclude(state=ReviewApp.State.DELETED)
    return rows.filter(~Exists(have))


def _with_ci(rows: "QuerySet[Any]") -> "QuerySet[Any]":
    """With the state of the newest test run of each one's commit."""
    runs = TestRun.objects.filter(commit=OuterRef("commit"), debug=False).exclude(state=State.CANCELLED)
    pipeline = "pipeline" if rows.model is ReviewApp else "repository__pipeline"
    newest = runs.filter(pipeline=OuterRef(pipeline)).order_by("-number").values("state")[:1]
    return rows.annotate(ci=Subquery(newest))[:OPEN_SHOWN]


def _ci(state: str | None) -> Standing | None:
    if not state:
        return None
    return CI.get(State(state), CI_ERRORED if state in ENDED else CI_RUNS)
