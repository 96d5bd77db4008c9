"""Search or jump: pipelines and apps by name."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps import access as app_access
from dashboard.http import PageRequest
from pipelines import access

SHOWN = 8


@require_safe
@login_required
def jump(request: PageRequest) -> HttpResponse:
    """What the viewer may see whose name holds the words of `?q=`: a page, or the list alone for the dialog."""
    wanted = request.GET.get("q", "").strip()[:100]
    pipelines = access.pipelines_for(request.user)
    apps = app_access.apps_for(request.user).select_related("coupling__stage", "coupling__pipeline")
    for word in wanted.split():
        pipelines = pipelines.filter(name__icontains=word)
        apps = apps.filter(name__icontains=word)
    found = {"q": wanted, "found_pipelines": pipelines[:SHOWN], "found_apps": apps[:SHOWN]}
    return render(request, "_jump.html" if request.htmx else "jump.html", found)
