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
    names = dict(access.visible_couplings(request.user, pipeline).values_list("app", "app__name"))
    about = Q(pipeline_id=pipeline.pk, app_id__isnull=True) | Q(app_id__in=names)
    events = Event.objects.filter(about).select_related("by")
    page = Paginator(events, PER_PAGE).get_page(request.GET.get("page"))
    rows = [(entry, names.get(entry.event.app_id, pipeline.name)) for entry in feed.entries(page)]
    days = [(day, list(some)) for day, some in groupby(rows, lambda row: row[0].event.at.date())]
    context = {"pipeline": pipeline, "tab": "activity", "page": page, "days": days}
    return render(request, "pipelines/activity.html", context)
