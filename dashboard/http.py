"""Requests of pages, and where they go next."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect, HttpResponseClientRefresh
from django_htmx.middleware import HtmxDetails

from accounts.models import User
from dashboard.answers import SeeOther


class PageRequest(HttpRequest):
    """A request from someone who is signed in: what `login_required` has let through, for the type checker."""

    user: User
    htmx: HtmxDetails


def go(request: HttpRequest, page: str, *args: object, query: str = "", fragment: str = "") -> HttpResponse:
    """Done; have the browser look at the page of that name, from a dialog as well as from a plain form."""
    plain = reverse(page, args=args) + (f"?{query}" if query else "")
    url = plain + (f"#{fragment}" if fragment else "")
    htmx = getattr(request, "htmx", None)
    if not htmx:
        return SeeOther(url)
    if fragment and (htmx.current_url_abs_path or "").partition("#")[0] == plain:
        return HttpResponseClientRefresh()  # a browser that is there already would only scroll
    return HttpResponseClientRedirect(url)


def page_or_dialog(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """The dialog `folder/_name.html` for htmx, the page `folder/name.html` that holds it for everybody else."""
    if getattr(request, "htmx", False):
        folder, _, name = template.rpartition("/")
        template = f"{folder}/_{name}"
    return render(request, template, dict(context), status=status)
