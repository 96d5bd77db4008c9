"""Review apps: make one, look at it, try again, destroy it."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.errors import NotFound, Refusal
from dashboard import fleet
from dashboard.columns import Card
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from dashboard.review_cards import one_card
from forge.code import branches_of
from forge.models import PullRequest
from pipelines import access
from pipelines.models import Pipeline
from reviews import access as review_access
from reviews import actions
from reviews.models import ReviewApp

BRANCHES = 50  # that are offered


@require_safe
@login_required
def new(request: PageRequest, name: str) -> HttpResponse:
    """Ask for the branch."""
    pipeline = access.pipeline_for(request.user, name, to=access.DEPLOY)
    return _ask(request, pipeline, Form(branch=request.GET.get("branch", "")[:255]))


@require_POST
@login_required
def create(request: PageRequest, name: str) -> HttpResponse:
    """Make a review app of a branch, or of the pull request with this number."""
    pipeline = access.pipeline_for(request.user, name, to=access.DEPLOY)
    form = Form(request, branch="", number="")
    made = form.attempt(lambda: _create(request, pipeline, form))
    if made is None:
        return _ask(request, pipeline, form)
    return go(request, "board", pipeline.name, fragment=f"review-{made[0].pk}")


def _create(request: PageRequest, pipeline: Pipeline, form: Form) -> list[ReviewApp]:
    number = form.value("number")
    if not number:
        with form.naming("branch"):
            if not form.value("branch"):
                raise Refusal("Name a branch.")
            return actions.create(pipeline, form.value("branch"), by=request.user)
    rows = PullRequest.objects.filter(repository__pipeline=pipeline, state=PullRequest.State.OPEN)
    found = rows.filter(number=int(number)).first() if number.isdecimal() and len(number) < 9 else None
    if found is None:
        raise NotFound("Couldn't find that pull request.", resource="pull_request")
    return actions.create(pipeline, found.branch, pull_request=found, by=request.user)


@require_safe
@login_required
def show(request: PageRequest, name: str, review_id: UUID) -> HttpResponse:
    """How far it is, what it waits for or why it failed, and what its scripts said."""
    pipeline, row, rights = _found(request, name, review_id)
    context = {
        "pipeline": pipeline,
        "tab": "board",
        "card": one_card(row, _card_of(row), rights),
        "row": row,
        "setup": row.setup,
    }
    return render(request, "reviews/show.html", context)


@require_safe
@login_required
def card(request: PageRequest, name: str, review_id: UUID) -> HttpResponse:
    """Its card on the board, as it is now."""
    pipeline, row, rights = _found(request, name, review_id)
    found = one_card(row, _card_of(row), rights)
    return render(request, "reviews/_card.html", {"pipeline": pipeline, "card": found})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def destroy(request: PageRequest, name: str, review_id: UUID) -> HttpResponse:
    """Ask, then have it destroyed."""
    pipeline, row, _ = _found(request, name, review_id, to=access.DEPLOY)
    if request.method != "POST":
        context = {"pipeline": pipeline, "tab": "board", "row": row}
        return page_or_dialog(request, "reviews/removal.html", context)
    actions.destroy(row, by=request.user)
    messages.success(request, f"The {row} is going.")
    return go(request, "board", pipeline.name)


@require_POST
@login_required
def try_again(request: PageRequest, name: str, review_id: UUID) -> HttpResponse:
    """Set one that failed up again."""
    pipeline, row, _ = _found(request, name, review_id, to=access.DEPLOY)
    actions.try_again(row, by=request.user)
    return go(request, "board", pipeline.name, fragment=f"review-{row.pk}")


@require_POST
@login_required
def approve(request: PageRequest, name: str, review_id: UUID) -> HttpResponse:
    """Say yes to the newest commit of a fork."""
    pipeline, row, _ = _found(request, name, review_id, to=access.DEPLOY)
    actions.build_newest(row, by=request.user)
    return go(request, "board", pipeline.name, fragment=f"review-{row.pk}")


def _found(
    request: PageRequest, name: str, review_id: UUID, *, to: str = access.VIEW
) -> tuple[Pipeline, ReviewApp, frozenset[str]]:
    """The pipeline, the review app, and what the viewer may do in the pipeline."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    by_owning = (
        rights if access.DEPLOY in rights else None
    )  # the right to view may come by one of its apps alone
    row = review_access.review_app_for(request.user, review_id, to=to, rights=by_owning)
    if row.pipeline_id != pipeline.pk:
        raise NotFound("Couldn't find that review app.", resource="review_app")
    row.pipeline = pipeline
    return pipeline, row, rights


def _card_of(row: ReviewApp) -> list[Card]:
    """How its app stands, if there is one."""
    if row.app is None or not hasattr(row.app, "coupling"):
        return []
    now = fleet.look([row.app])[row.app.pk]
    return [Card(row.app.coupling, now, frozenset(), now.state)]


def _ask(request: PageRequest, pipeline: Pipeline, form: Form) -> HttpResponse:
    settings = actions.settings_of(pipeline)
    names = list(branches_of(pipeline))[:BRANCHES] if settings.enabled else []
    context = {"pipeline": pipeline, "tab": "board", "form": form, "branches": names, "settings": settings}
    return page_or_dialog(request, "reviews/new.html", context, status=form.status)
