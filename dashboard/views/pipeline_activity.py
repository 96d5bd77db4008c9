"""Everything that happened to a pipeline and, as far as the viewer may see them, to the apps in it."""

from itertools import groupby

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core.models import Event
from dashboard import feed
from dashboard.http import PageRequest
from pipelines import access

PER_PAGE = 50


@require_safe
@login_required
def activity(request: PageRequest, name: str) -> HttpResponse:
    """Who did what, when, and through what; newest first."""
    pipeline = access.pipeline_for(request.user, name)
    apps = access.visible_couplings(request.user, pipeline).values("app")
    about = Q(pipeline_id=pipeline.pk, app_id__isnull=True) | Q(app_id__in=apps)
    events = Event.objects.filter(about).select_related("by")
    page = Paginator(events, PER_PAGE).get_page(request.GET.get("page"))
    days = [(day, list(rows)) for day, rows in groupby(feed.entries(page), lambda row: row.event.at.date())]
    context = {"pipeline": pipeline, "tab": "activity", "page": page, "days": days}
    return render(request, "pipelines/activity.html", context)
