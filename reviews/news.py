"""What review apps hear of: pushes and pull requests (`forge.events`), and what becomes of their apps, builds and
releases (`core.changes`)."""

from collections.abc import Iterable

from django.db.models import Q
from django.utils import timezone

from apps.models import App
from ci.models import TestRun
from core.changes import MOVED_ON, Change
from core.errors import Refusal
from forge.events import News, PullRequestMoved, Pushed
from forge.models import PullRequest
from pipelines.models import Pipeline
from releases.models import Build, Release
from reviews import actions, told
from reviews.models import AppSetup, ReviewApp

State = ReviewApp.State


def heard(news: News) -> Iterable[str]:
    """Listens to the forge; answers what came of it."""
    if isinstance(news, Pushed):
        return _pushed(news)
    return _moved(news)


def _pushed(news: Pushed) -> list[str]:
    """A branch has another commit: its review apps are built again. It is gone: so are they."""
    rows = list(
        ReviewApp.objects.filter(pipeline=news.pipeline, branch=news.branch, from_fork="", gone=False)
        .exclude(state=State.DELETED)
        .select_related("pipeline", "pull_request")
    )
    if not news.commit:
        alone = [row for row in rows if row.pull_request is None]
        for row in alone:
            actions.destroy(row, by=news.by, why="Its branch is gone.")
        return [f"Gave up the {row}." for row in alone]
    return [f"Builds the {row} again." for row in actions.move_to(rows, news.commit)]


def _moved(news: PullRequestMoved) -> list[str]:
    pull_request, pipeline = news.pull_request, news.pipeline
    rows = list(
        ReviewApp.objects.filter(
            Q(pull_request=pull_request) | _of_branch(pull_request), pipeline=pipeline, gone=False
        ).select_related("pipeline", "pull_request")
    )
    if pull_request.state != PullRequest.State.OPEN:
        for row in rows:
            actions.destroy(row, by=news.by, why=f"#{pull_request.number} was {pull_request.state}.")
        return [f"Gave up the {row}." for row in rows]
    _adopt(rows, pull_request)
    if rows:
        return _at_newest(rows, pull_request)
    return _opened(pipeline, pull_request)


def _of_branch(pull_request: PullRequest) -> Q:
    """Review apps that were made of the very branch, before there was a pull request."""
    return Q(pull_request=None, branch=pull_request.branch) if not pull_request.from_fork else Q(pk=None)


def _adopt(rows: Iterable[ReviewApp], pull_request: PullRequest) -> None:
    for row in rows:
        if row.pull_request_id is None:
            row.pull_request, row.subject = (
                pull_request,
                actions.subject_of(row.branch, row.part, pull_request),
            )
            ReviewApp.objects.filter(pk=row.pk).update(pull_request=pull_request, subject=row.subject)


def _at_newest(rows: list[ReviewApp], pull_request: PullRequest) -> list[str]:
    if pull_request.from_fork:
        ReviewApp.objects.filter(pk__in=[row.pk for row in rows]).update(news_at=timezone.now())
        new = any(row.commit != pull_request.commit for row in rows)
        return ["Its newest commit waits for a person's yes."] if new else []
    return [f"Builds the {row} again." for row in actions.move_to(rows, pull_request.commit)]


def _opened(pipeline: Pipeline, pull_request: PullRequest) -> list[str]:
    settings = actions.settings_of(pipeline)
    if not settings.enabled or not settings.automatic:
        return []
    if pull_request.from_fork:
        return ["It comes from a fork: a review app waits for a person's yes."]
    if pull_request.draft and not settings.drafts:
        return ["It is a draft: its review app comes once it is ready."]
    try:
        made = actions.create(
            pipeline, pull_request.branch, pull_request=pull_request, automatic=True, by=settings.by
        )
    except Refusal as refusal:
        return [refusal.message]
    return [f"Asked for the {row}." for row in made]


def noticed(change: Change) -> None:
    """Listens to `core.changes`: what happens to what a review app is made of, by whomever."""
    thing = change.thing
    if isinstance(thing, App) and change.verb == "destroyed" and thing.ephemeral == "review":
        _app_gone(thing)
    elif isinstance(thing, Pipeline) and change.verb == "destroyed":
        _pipeline_gone(thing)
    elif change.verb != MOVED_ON:
        return
    elif isinstance(thing, AppSetup):
        actions.ask(ReviewApp.objects.filter(setup=thing).select_related("pipeline"))
    elif isinstance(thing, TestRun):
        actions.ask(row for row in actions.waiting_in(thing.pipeline) if row.commit == thing.commit)
    elif isinstance(thing, Build | Release) and thing.app.ephemeral == "review":
        told.outcome(thing)


def _app_gone(app: App) -> None:
    for row in ReviewApp.objects.filter(app=app, gone=False).select_related("pipeline"):
        ReviewApp.objects.filter(pk=row.pk).update(gone=True, message="Its app was destroyed.")
        actions.ask([row])


def _pipeline_gone(pipeline: Pipeline) -> None:
    """Review apps go with their pipeline; nobody would destroy them later."""
    now = timezone.now()
    App.objects.filter(review_app__pipeline=pipeline, destroyed_at=None).update(destroyed_at=now)
