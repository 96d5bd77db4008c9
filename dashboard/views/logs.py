"""The log of an app: as it comes in, around a line, as bars and as text."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from addons import archives
from apps import access
from dashboard import log_chart, log_page, panels
from dashboard.http import PageRequest
from releases.stream_views import log_line


@require_safe
@login_required
def logs(request: PageRequest, name: str) -> HttpResponse:
    """The last lines that match, and those that come; htmx gets the lines alone."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    asked = log_page.Asked.of(request.GET)
    context = {
        **panels.frame(app, request.user, "logs"),
        "asked": asked,
        "archived": archives.archive_of(app) is not None,
        "log": log_page.shown(app, asked),
        "chart": log_chart.chart(app.log_stream, asked.line),
        "sources": log_page.SOURCES,
        "levels": log_page.LEVELS,
        "dynos": log_page.dynos(app, asked.dyno),
    }
    return render(request, "apps/_logs.html" if request.htmx else "apps/logs.html", context)


@require_safe
@login_required
def histogram(request: PageRequest, name: str) -> HttpResponse:
    """The bars alone, as they are now."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    asked = log_page.Asked.of(request.GET)
    context = {"app": app, "asked": asked, "chart": log_chart.chart(app.log_stream, asked.line)}
    return render(request, "apps/_histogram.html", context)


@require_safe
@login_required
def text(request: PageRequest, name: str) -> HttpResponse:
    """The last lines that match, as a text file; its first line says so when older ones were not looked at."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    found, unsearched = log_page.saved(app, log_page.Asked.of(request.GET))
    lines = [f"# {unsearched:,} older lines are not in this file\n"] if unsearched else []
    lines += [f"{log_line(entry)}\n" for entry in found]
    answer = HttpResponse("".join(lines), content_type="text/plain; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{app.name}.log"'
    return answer
