"""A build and its log."""

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from apps import access
from dashboard import story
from dashboard.answers import see
from dashboard.http import PageRequest
from releases import actions
from releases.models import Build


@require_safe
@login_required
def show(request: PageRequest, name: str, build_id: uuid.UUID) -> HttpResponse:
    """The build, the release it made, and their output; htmx gets the part that changes."""
    app = access.app_for(request.user, name)
    build = get_object_or_404(story.builds(app), pk=build_id)
    template = "releases/_status.html" if request.htmx else "releases/show.html"
    return render(request, template, story.of_build(build, request.user))


@require_POST
@login_required
def cancel(request: PageRequest, name: str, build_id: uuid.UUID) -> HttpResponse:
    """Stop a build."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    build = get_object_or_404(Build, app=app, pk=build_id)
    actions.cancel_build(build, by=request.user)
    return see("build", app.name, build.pk)
