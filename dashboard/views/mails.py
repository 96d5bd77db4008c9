"""The inbox of a mailer add-on, and the mails in it. Who wrote them is not known: nothing of them runs here."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from addons import access, databases, letters, mails
from addons.mail_models import Mail
from addons.models import Addon
from addons.providers.mailer import MAILER
from apps import access as app_access
from apps.models import App
from core.errors import NotFound
from dashboard import mail_panels
from dashboard.http import PageRequest, go
from pipelines import databases as door

# A document of a mail may style itself and show pictures that it brings along, and nothing else.
POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"


@require_safe
@login_required
def inbox(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """What came in; htmx gets the list."""
    app, found = _entered(request, name, addon)
    words = request.GET.get("q", "").replace("\0", "")[:200].strip()
    template = "mails/_inbox.html" if request.htmx else "mails/inbox.html"
    page = request.GET.get("page", "1")
    return render(request, template, mail_panels.of_inbox(app, request.user, found, words=words, page=page))


@require_POST
@login_required
def empty(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Delete all mails."""
    app, found = _entered(request, name, addon)
    mails.empty(found, by=request.user)
    messages.success(request, f"The inbox of {found.name} is empty.")
    return go(request, "inbox", app.name, found.name)


@require_POST
@login_required
def rotate(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Have a new password made, which apps send with from then on."""
    app, found = _entered(request, name, addon)
    databases.rotate(found, [""], by=request.user)
    messages.success(request, "A new password is made; each app that uses it gets it in a release.")
    return go(request, "inbox", app.name, found.name)


@require_safe
@login_required
def show(request: PageRequest, name: str, addon: str, mail_id: uuid.UUID) -> HttpResponse:
    """One mail."""
    app, found = _entered(request, name, addon)
    mail = _mail(found, mail_id)
    context = mail_panels.of_mail(app, request.user, found, mail, way=request.GET.get("as", ""))
    response = render(request, "mails/mail.html", context)
    response._csp_update = {"frame-src": ["'self'"]}  # type: ignore[attr-defined]
    return response


@require_safe
@login_required
@xframe_options_sameorigin
def html(request: PageRequest, name: str, addon: str, mail_id: uuid.UUID) -> HttpResponse:
    """A mail's HTML by itself, for the frame in its page."""
    _, found = _entered(request, name, addon)
    letter = letters.read(bytes(_mail(found, mail_id).raw))
    if letter.html is None:
        raise NotFound("This mail has no HTML.", resource="mail")
    return HttpResponse(letters.page(letter), headers={"Content-Security-Policy": POLICY})


@require_safe
@login_required
def source(request: PageRequest, name: str, addon: str, mail_id: uuid.UUID) -> HttpResponse:
    """A mail as it came over the wire, to keep."""
    _, found = _entered(request, name, addon)
    mail = _mail(found, mail_id)
    return _file(bytes(mail.raw), f"{mail.pk}.eml")


@require_safe
@login_required
def attachment(request: PageRequest, name: str, addon: str, mail_id: uuid.UUID, number: int) -> HttpResponse:
    """A file of a mail, to keep."""
    _, found = _entered(request, name, addon)
    pieces = letters.read(bytes(_mail(found, mail_id).raw)).pieces
    piece = next((piece for piece in pieces if piece.number == number), None)
    if piece is None:
        raise NotFound("This mail has no such attachment.", resource="mail")
    return _file(piece.content, piece.name)


@require_POST
@login_required
def delete(request: PageRequest, name: str, addon: str, mail_id: uuid.UUID) -> HttpResponse:
    """Delete a mail."""
    app, found = _entered(request, name, addon)
    mails.delete(found, _mail(found, mail_id), by=request.user)
    messages.success(request, "The mail is deleted.")
    return go(request, "inbox", app.name, found.name)


# --- parts ------------------------------------------------------------------------------------------------------------


def _entered(request: PageRequest, name: str, addon: str) -> tuple[App, Addon]:
    """The app and its mailer, for who may know what apps get of it: its mail is as secret as that."""
    app = app_access.app_for(request.user, name)
    found = access.addons_of(app).filter(name=addon).first()
    if found is None:
        raise NotFound(f"Couldn't find that inbox: {addon}.", resource="add_on")
    if found.app_id == app.pk:
        found.app = app  # whose rights are known already
    return app, door.demand_entry(request.user, found, service=MAILER)


def _mail(addon: Addon, mail_id: uuid.UUID) -> Mail:
    mail = Mail.objects.filter(addon=addon, pk=mail_id).first()
    if mail is None:
        raise NotFound("That mail is not there any more. The oldest go when there are many.", resource="mail")
    return mail


def _file(content: bytes, name: str) -> HttpResponse:
    """Something to download that no browser shows, whatever it is."""
    headers = {
        "Content-Disposition": content_disposition_header(True, name) or "attachment",
        "Content-Security-Policy": FILE_POLICY,
    }
    return HttpResponse(content, content_type="application/octet-stream", headers=headers)
