"""The site of the operators: unfold's, with a page of figures, an audit, a search over everything, and our own door."""

from collections.abc import Callable
from functools import partial
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.sites import UnfoldAdminSite

from config.admin_site import audits, checkups, manifest, overview, search
from dashboard.views.sign_in import sign_out

# unfold's pages hold inline scripts and styles; nothing else of the policy of all other pages is given up.
POLICY = {
    "script-src": [SELF, UNSAFE_INLINE, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "object-src": [NONE],
    "form-action": [SELF],
}


class OperatorSite(UnfoldAdminSite):
    """What `/admin/` answers."""

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("figures/", self.admin_view(self.figures), name="figures"),
            path("audit/", self.admin_view(self.audit), name="audit"),
            path("doctor/", self.admin_view(self.doctor), name="doctor"),
        ]
        for name, (place, view) in manifest.VIEWS.items():
            own.append(path(place, self.admin_view(partial(self._own_page, view)), name=name))
        return own + super().get_urls()

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        """`view` for operators alone, with a policy for the browser that unfold's pages can work under."""
        guarded = super().admin_view(view, cacheable)

        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response = guarded(request, *args, **kwargs)
            response._csp_replace = POLICY
            return response

        return answer

    def _own_page(
        self, view: Callable[[HttpRequest, dict[str, Any]], HttpResponse], request: HttpRequest
    ) -> HttpResponse:
        return view(request, self.each_context(request))

    def figures(self, request: HttpRequest) -> HttpResponse:
        """The first page's figures alone, which it asks for again and again."""
        return TemplateResponse(request, "admin/_figures.html", overview.figures())

    def audit(self, request: HttpRequest) -> HttpResponse:
        """What the last audit found; a POST starts another."""
        if request.method == "POST":
            audits.start()
            return HttpResponseRedirect(reverse("admin:audit"))
        context = {**self.each_context(request), "title": "Audit", **audits.last()}
        return TemplateResponse(request, "admin/audit.html", context)

    def doctor(self, request: HttpRequest) -> HttpResponse:
        """What the conductor's doctor found last, and what to do about it."""
        context = {**self.each_context(request), "title": "Doctor", **checkups.context()}
        return TemplateResponse(request, "admin/doctor.html", context)

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Everything that has a name, an address, a commit or an id like what was typed, fresh each time."""
        text = request.GET.get("s", "").strip()
        found = search.find(text) if text else []
        context = {"results": found, "text": text, "page_counter": 0}
        if "page" in request.GET:
            return TemplateResponse(
                request, "admin/search.html", {**self.each_context(request), "title": "Search", **context}
            )
        return TemplateResponse(request, "admin/_found.html", context, headers={"HX-Trigger": "search"})

    def logout(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Out by the same door as everybody."""
        return sign_out(request)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Where everybody changes theirs."""
        return redirect("password")
