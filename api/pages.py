"""The API's own description: for programs one document, for people pages made from it. Both are for anybody to read."""

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe

from api.openapi import WORDS, document
from api.reference import Group, groups


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document."""
    return JsonResponse(document())


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What there is, and how to call it."""
    return _page(request, None)


@require_safe
def tag(request: HttpRequest, tag: str) -> HttpResponse:
    """The endpoints of one tag."""
    found = next((group for group in groups() if group.slug == tag), None)
    if found is None:
        raise Http404
    return _page(request, found)


def _page(request: HttpRequest, group: Group | None) -> HttpResponse:
    base = f"{request.scheme}://{request.get_host()}"
    shell = "base_root.html" if request.user.is_authenticated else "docs/outside.html"
    calls = [(endpoint, endpoint.curl(base)) for endpoint in group.endpoints] if group else []
    return render(
        request,
        "docs/api.html",
        {
            "shell": shell, "groups": groups(), "group": group, "calls": calls, "base": base,
            "statuses": {status: text.replace("`", "") for status, text in WORDS.items()}, "first": f'curl {base}/account -H "Authorization: Bearer $TOKEN"',
        },
    )  # fmt: skip


document_urls = [path("docs/api/openapi.json", openapi, name="openapi")]
urlpatterns = [
    *document_urls,
    path("docs/api/", index, name="api-docs"),
    path("docs/api/<slug:tag>/", tag, name="api-docs-tag"),
]
