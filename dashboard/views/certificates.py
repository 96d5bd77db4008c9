"""An app's certificates: added, replaced, removed, chosen for a domain."""

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps import access, acm, certificates
from apps.models import App, Certificate
from dashboard import panels
from dashboard.certificates import form_of
from dashboard.http import PageRequest, go, page_or_dialog
from engine.certificates import MAX_CHAIN


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: PageRequest, name: str) -> HttpResponse:
    """Ask for a certificate and its key, then keep them."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    return _form(request, app, None, lambda *pair: certificates.add_certificate(app, *pair, by=request.user))


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def certificate(request: PageRequest, name: str, certificate_id: uuid.UUID) -> HttpResponse:
    """What a certificate says; another one in its place."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    found = get_object_or_404(app.certificates.select_related("app"), pk=certificate_id)
    return _form(
        request, app, found, lambda *pair: certificates.update_certificate(found, *pair, by=request.user)
    )


@require_POST
@login_required
def remove(request: PageRequest, name: str, certificate_id: uuid.UUID) -> HttpResponse:
    """Forget a certificate and its key."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    found = get_object_or_404(app.certificates.select_related("app"), pk=certificate_id)
    certificates.remove_certificate(found, by=request.user)
    messages.success(request, f"{found.name} is removed, and its key with it.")
    return go(request, "app-settings", app.name, fragment="domains")


@require_POST
@login_required
def choose(request: PageRequest, name: str, domain_id: uuid.UUID) -> HttpResponse:
    """Have a domain answer with one of the app's certificates, or (empty) with none of its own."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    domain = get_object_or_404(app.domains.select_related("app", "certificate"), pk=domain_id)
    ref = request.POST.get("certificate", "")
    chosen = certificates.certificate_of(app, ref) if ref else None
    certificates.choose_certificate(domain, chosen, by=request.user)
    said = f"answers with {chosen} from now on" if chosen else "has no certificate of its own any more"
    messages.success(request, f"{domain} {said}.")
    return go(request, "app-settings", app.name, fragment="domains")


@require_POST
@login_required
def automatic(request: PageRequest, name: str) -> HttpResponse:
    """Get certificates for the app's domains, and renew them."""
    app = acm.enable(access.app_for(request.user, name, to=access.MANAGE), by=request.user)
    messages.success(request, "Certificates come by themselves from now on.")
    return go(request, "app-settings", app.name, fragment="domains")


@require_POST
@login_required
def not_automatic(request: PageRequest, name: str) -> HttpResponse:
    """Get no more; those that the app has stay until they end."""
    app = acm.disable(access.app_for(request.user, name, to=access.MANAGE), by=request.user)
    messages.success(
        request, "No more certificates come by themselves. Those that are there end as they say."
    )
    return go(request, "app-settings", app.name, fragment="domains")


@require_POST
@login_required
def again(request: PageRequest, name: str) -> HttpResponse:
    """Try again now for domains that have none."""
    app = acm.refresh(access.app_for(request.user, name, to=access.MANAGE), by=request.user)
    messages.success(request, "Certificates are asked for again.")
    return go(request, "app-settings", app.name, fragment="domains")


def _form(
    request: PageRequest,
    app: App,
    shown: Certificate | None,
    keep: Callable[[str, str], Certificate],
) -> HttpResponse:
    chain, key = _sent(request, "certificate_chain"), _sent(request, "private_key")
    form = form_of(chain)
    if request.method == "POST":
        kept = form.attempt(lambda: keep(chain, key))
        if kept:
            serves = ", ".join(kept.domains.values_list("hostname", flat=True)[:4])
            messages.success(request, f"{kept} answers for {serves or 'no domain yet'}.")
            return go(request, "app-settings", app.name, fragment="domains")
    context = {**panels.frame(app, request.user, "settings"), "form": form, "certificate": shown}
    return page_or_dialog(request, "apps/certificate.html", context, status=form.status)


def _sent(request: PageRequest, field: str) -> str:
    """The text of a field, or of the file that was chosen instead."""
    file = request.FILES.get(f"{field}_file")
    if file is None:
        return request.POST.get(field, "").replace("\0", "")
    return file.read(MAX_CHAIN + 1).decode(errors="replace").replace("\0", "")
