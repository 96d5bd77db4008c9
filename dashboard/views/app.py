"""An app's overview."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps import access
from dashboard import overview as summary
from dashboard.http import PageRequest


@require_safe
@login_required
def overview(request: PageRequest, name: str) -> HttpResponse:
    """How the app stands and what happened to it last; htmx gets the part that changes."""
    app = access.app_for(request.user, name, along=["autoscale"])
    template = "apps/_overview.html" if request.htmx else "apps/overview.html"
    return render(request, template, summary.context(app, request.user))
