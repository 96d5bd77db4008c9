"""The metrics of an app."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps import access
from dashboard import metric_panels, panels
from dashboard.http import PageRequest


@require_safe
@login_required
def show(request: PageRequest, name: str) -> HttpResponse:
    """Response times, requests and errors of a span of time that ends now; htmx gets the charts alone."""
    app = access.app_for(request.user, name)
    context = {
        **panels.frame(app, request.user, "metrics"),
        **metric_panels.context(app, request.GET.get("span", "")),
        "alerts_on": app.alerts.exclude(since=None),
    }
    return render(request, "apps/_metrics.html" if request.htmx else "apps/metrics.html", context)
