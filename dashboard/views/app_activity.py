"""Everything that happened to an app."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps import access
from dashboard import feed, panels
from dashboard.http import PageRequest

PER_PAGE = 50


@require_safe
@login_required
def activity(request: PageRequest, name: str) -> HttpResponse:
    """The app's events, newest first."""
    app = access.app_for(request.user, name)
    page = Paginator(panels.events(app), PER_PAGE).get_page(request.GET.get("page"))
    context = {**panels.frame(app, request.user, "activity"), "page": page, "entries": feed.entries(page)}
    return render(request, "apps/activity.html", context)
