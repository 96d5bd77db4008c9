"""A person's e-mail address: what they sign in with."""

from allauth.account.decorators import reauthentication_required
from allauth.account.views import email as change
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render

from dashboard.http import PageRequest


@login_required
@reauthentication_required(allow_get=True)
def email(request: PageRequest) -> HttpResponse:
    """Ask for a new address, and mail it a link that puts it in the old one's place. Without a mail server nobody could
    follow that: the page says who can help."""
    if not settings.MAIL:
        return render(request, "account/email_change.html", {"contact": settings.CONTACT})
    return change(request)
