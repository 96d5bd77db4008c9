"""Where a person is signed in, and signing out from afar."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from accounts import sessions
from accounts.models import ApiToken
from core.errors import NotFound
from dashboard.http import PageRequest, go

PER_PAGE = 25


@require_safe
@login_required
def index(request: PageRequest) -> HttpResponse:
    """The browsers, this one first."""
    sessions.note_use(request)
    browsers = sessions.browsers_of(request.user, request.session.session_key)
    context = {
        "page": Paginator(browsers, PER_PAGE).get_page(request.GET.get("page")),
        "tokens": ApiToken.objects.valid().filter(user=request.user).count(),
    }
    return render(request, "usersessions/usersession_list.html", context)


@require_POST
@login_required
def end(request: PageRequest, session_id: int) -> HttpResponse:
    """Sign one browser out."""
    if not sessions.end(request.user, session_id, by=request.user):
        raise NotFound("That browser is signed out already.")
    messages.success(request, "That browser is signed out.")
    return go(request, "sessions")


@require_POST
@login_required
def end_others(request: PageRequest) -> HttpResponse:
    """Sign every browser out but this one."""
    count = sessions.end_others(request.user, request.session.session_key, by=request.user)
    messages.success(request, f"Signed out {count} other browser{'s' if count != 1 else ''}.")
    return go(request, "sessions")
