"""The tests of a pipeline's code: the runs, and one of them."""

from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from ci import access as ci_access
from ci import actions
from ci.models import TestRun
from dashboard import ci_panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from pipelines import access


@require_safe
@login_required
def index(request: PageRequest, name: str) -> HttpResponse:
    """The runs, newest first; htmx gets the part that changes."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    context = ci_panels.runs(pipeline, request.user, rights, request.GET)
    return render(request, "ci/_runs.html" if request.htmx else "ci/index.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: PageRequest, name: str) -> HttpResponse:
    """Choose what to test, and start."""
    pipeline = access.pipeline_for(request.user, name, to=access.DEPLOY)
    found = ci_panels.new_run(pipeline)
    first = next(iter(found["branches"]), "")
    form = Form(request, branch=first)
    if request.method == "POST":
        branch, fresh = form.value("branch"), form.value("clear_cache") == "on"
        run = form.attempt(lambda: actions.start_run(pipeline, branch, by=request.user, clear_cache=fresh))
        if run is not None:
            return go(request, "test-run", pipeline.name, run.number)
    context = {"pipeline": pipeline, "tab": "tests", "form": form, **found}
    return page_or_dialog(request, "ci/new.html", context, status=form.status)


@require_safe
@login_required
def show(request: PageRequest, name: str, number: int) -> HttpResponse:
    """A run, its nodes, cases and output; htmx gets the part that changes."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    run = ci_access.run_in(pipeline, number)
    context = ci_panels.run(run, request.user, rights, request.GET)
    here = {key: value for key, value in request.GET.items() if key in ("cases", "q", "page", "output")}
    context["here"] = urlencode({**here, "shown": context["shown"]})
    return render(request, "ci/_run.html" if request.htmx else "ci/run.html", context)


@require_POST
@login_required
def rerun(request: PageRequest, name: str, number: int) -> HttpResponse:
    """Test the same commit again."""
    run = _run(request, name, number)
    again = actions.rerun(run, by=request.user)
    return go(request, "test-run", name, again.number)


@require_POST
@login_required
def rerun_failed(request: PageRequest, name: str, number: int) -> HttpResponse:
    """Test the same commit again, on the nodes that failed."""
    run = _run(request, name, number)
    again = actions.rerun(run, by=request.user, only_failed=True)
    return go(request, "test-run", name, again.number)


@require_POST
@login_required
def cancel(request: PageRequest, name: str, number: int) -> HttpResponse:
    """End a run."""
    run = _run(request, name, number)
    actions.cancel(run, by=request.user)
    messages.success(request, f"Test run {number} is cancelled. What it made is being destroyed.")
    return go(request, "test-run", name, number)


def _run(request: PageRequest, name: str, number: int) -> TestRun:
    """For who may deploy."""
    return ci_access.run_in(access.pipeline_for(request.user, name, to=access.DEPLOY), number)
