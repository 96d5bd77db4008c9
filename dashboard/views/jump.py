"""Search or jump: what there is, by a few words; and the question before something is restarted from there."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps import access
from dashboard import palette, panels
from dashboard.http import PageRequest, page_or_dialog

IN_DIALOG, ON_PAGE = 6, 20  # lines in a group
RECENT = 20


@require_safe
@login_required
def jump(request: PageRequest) -> HttpResponse:
    """What answers the words of `?q=`, things in `?recent=` (`app:shop,pipeline:main`) first: a page, or the list
    alone for the dialog."""
    wanted = request.GET.get("q", "").replace("\0", "").strip()[:100]
    recent = request.GET.get("recent", "")[:1000].split(",")[:RECENT]
    each = IN_DIALOG if request.htmx else ON_PAGE
    context = {"q": wanted, "groups": palette.find(request.user, wanted, recent=recent, each=each)}
    return render(request, "_jump.html" if request.htmx else "jump.html", context)


@require_safe
@login_required
def new_restart(request: PageRequest, name: str) -> HttpResponse:
    """What a restart will do, and the button for it."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    context = {**panels.frame(app, request.user, "resources"), **panels.stand(app)}
    return page_or_dialog(request, "apps/restart.html", context)
