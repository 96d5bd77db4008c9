"""Everything that happened to a pipeline and, as far as the viewer may see them, to the apps in it."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.core.handlers.asgi import ASGIRequest
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from core.models import Event
from dashboard import feed, history
from dashboard.history import Filter
from dashboard.http import PageRequest
from pipelines import access
from pipelines.models import Pipeline

PER_PAGE = 24


@dataclass
class Scope:
    """What of a pipeline's activity the viewer may see, and what of it was asked for."""

    pipeline: Pipeline
    rights: frozenset[str]
    events: QuerySet[Event]  # all that they may see
    wanted: Filter
    names: dict[Any, str] = field(default_factory=dict)  # of apps, by id
    places: dict[str, list[Any]] = field(default_factory=dict)  # the ids of the apps of each place to choose
    stages: list[tuple[str, str]] = field(default_factory=list)

    @property
    def found(self) -> QuerySet[Event]:
        """The events that were asked for, newest first."""
        return self.wanted.apply(self.events, self.places).select_related("by")


@require_safe
@login_required
def activity(request: PageRequest, name: str) -> HttpResponse:
    """Who did what, when, and through what; newest first. The filters stand in the address."""
    scope = _scope(request, name)
    page = Paginator(scope.found, PER_PAGE).get_page(request.GET.get("page"))
    rows = [_row(entry, scope) for entry in feed.entries(page)]
    context = {
        "pipeline": scope.pipeline,
        "tab": "activity",
        "page": page,
        "days": feed.by_day(rows),
        "wanted": scope.wanted,
        "keep": scope.wanted.query,
        "kinds": [(key, word) for key, (word, _) in history.KINDS.items()],
        "ways": [(key, word) for key, (_, word) in feed.THROUGH.items()],
        "itself": history.ITSELF,
        "apps": sorted(scope.names.values()),
        "stages": scope.stages,
        "may_manage": access.MANAGE in scope.rights,
        **history.choices(scope.events, scope.wanted),
    }
    return render(request, "pipelines/activity.html", context)


@require_safe
@login_required
def export(request: PageRequest, name: str) -> StreamingHttpResponse:
    """The same events, all pages of them, as CSV."""
    scope = _scope(request, name)
    pieces = history.as_csv(scope.found, scope.names, scope.pipeline.name)
    # Django gathers a plain iterator in memory before an ASGI server sends it, and an asynchronous one under WSGI.
    body = _in_turn(pieces) if isinstance(request, ASGIRequest) else pieces
    answer = StreamingHttpResponse(body, content_type="text/csv; charset=utf-8")
    file = f"{scope.pipeline.name}-activity-{timezone.now():%Y-%m-%d}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{file}"'
    return answer


async def _in_turn(pieces: Iterator[str]) -> AsyncIterator[str]:
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece


def _scope(request: PageRequest, name: str) -> Scope:
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    found = list(access.visible_couplings(request.user, pipeline))
    names = {coupling.app_id: coupling.app.name for coupling in found}
    places: dict[str, list[Any]] = defaultdict(list)
    for coupling in found:
        places[f"stage:{coupling.stage.name}"].append(coupling.app_id)
        places[coupling.app.name].append(coupling.app_id)
    titles = {f"stage:{coupling.stage.name}": coupling.stage.title for coupling in found}
    about = Q(pipeline_id=pipeline.pk, app_id__isnull=True) | Q(app_id__in=names)
    events = Event.objects.filter(about)
    return Scope(pipeline, rights, events, Filter.of(request.GET), names, places, list(titles.items()))


def _row(entry: feed.Entry, scope: Scope) -> dict[str, Any]:
    """An event with the app it is about, and where its thing is to be seen."""
    app = scope.names.get(entry.event.app_id, "")
    return {
        "entry": entry,
        "app": app,
        "url": history.place(entry.event, app) if app else "",
        "keys": history.keys(entry.event),
    }
