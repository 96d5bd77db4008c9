"""What the host of a pull request is told of its review app: a status at the commit, and a comment with the address."""

from django.conf import settings
from django.urls import reverse

from forge import reports
from releases.models import Build, Release
from reviews.models import ReviewApp

CONTEXT = "slipway/review-app"


def report(row: ReviewApp, state: str, words: str) -> None:
    """Have the host say how the review app of the newest commit stands; `state` is pending, success, failure or
    error."""
    commit = row.commit or row.built_commit
    context = f"{CONTEXT}-{row.part}" if row.part else CONTEXT
    reports.report(row.pipeline, commit, context, state, words, _address(row, state))


def comment(row: ReviewApp) -> None:
    """Keep the one comment on its pull request: where its review apps are, as it is now."""
    if row.pull_request is None:
        return
    rows = row.pull_request.review_apps.filter(gone=False).select_related("app").order_by("part")
    lines = [_line(other) for other in rows]
    if not lines:
        lines = ["The review app was destroyed."]
    reports.comment(row.pull_request, "\n".join(lines))


def outcome(thing: Build | Release) -> None:
    """A build or a release of a review app has ended."""
    row = (
        ReviewApp.objects.filter(app=thing.app_id, gone=False)
        .select_related("pipeline", "app", "setup")
        .first()
    )
    if row is None or (row.setup and row.setup.status in ("pending", "running")):
        return  # the setup tells of its own end
    what = "build" if isinstance(thing, Build) else "release"
    if thing.status in ("failed", "cancelled"):
        report(row, "failure", f"Its {what} {thing.status}: {thing.reason}"[:140])
    elif isinstance(thing, Release) and thing.slug_id and thing.status == "succeeded":
        report(row, "success", "The newest commit is running.")


def _address(row: ReviewApp, state: str) -> str:
    if row.app is None:
        return settings.URL + reverse("board", args=[row.pipeline.name])
    return row.app.web_url if state == "success" else settings.URL + reverse("app", args=[row.app.name])


def _line(row: ReviewApp) -> str:
    name = f"Review app {row.part}" if row.part else "Review app"
    if row.app is None:
        return f"{name}: {row.message or 'on its way'}"
    return f"{name}: {row.app.web_url}"
