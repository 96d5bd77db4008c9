"""Into the dashboard and out of it. No page makes an account but the one-time link of the first start."""

from allauth.account.views import password_reset
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import actions
from accounts.models import User
from accounts.sign_in import enter
from accounts.sign_in import sign_in as check
from core.middleware import client_address
from dashboard.answers import SeeOther, see
from dashboard.forms import Form


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for e-mail address and password; then on to `?next=`, if that is a page of ours."""
    onward = _onward(request)
    if request.user.is_authenticated:
        return redirect(onward)
    form = Form(request, email="", password="")
    if request.method == "POST":
        # As it was typed: a password may begin or end with a blank.
        email, password = form.value("email"), request.POST.get("password", "")[:1000]
        user = form.attempt(lambda: check(email, password, address=client_address(request)))
        if user is not None:
            return SeeOther(enter(request, user, by="password", onward=onward)["Location"])
    context = {"form": form, "next": onward, "elsewhere": elsewhere(), "mail": settings.MAIL}
    return render(request, "accounts/sign_in.html", context, status=form.status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return see("sign-in")


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest, secret: str) -> HttpResponse:
    """A one-time link: it makes the first account, or signs in the person it was made for."""
    link = actions.find_sign_in_link(secret)
    if link is None:
        return render(request, "accounts/link_spent.html", status=404)
    form = Form(request, email="", name="", password="")
    if request.method == "POST":
        user = form.attempt(lambda: _open(request, secret, form))
        if user is not None:
            return SeeOther(enter(request, user, by="link", onward="/")["Location"])
    return render(request, "accounts/setup.html", {"form": form, "link": link}, status=form.status)


def _open(request: HttpRequest, secret: str, form: Form) -> User:
    return actions.open_account(
        secret,
        email=form.value("email"),
        password=request.POST.get("password", "")[:1000],
        name=form.value("name")[:100],
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """Ask for the address that a link to a new password is mailed to; without a mail server say who can help."""
    if not settings.MAIL:
        return render(request, "account/password_reset.html", {"contact": settings.CONTACT})
    return password_reset(request)


def elsewhere() -> list[tuple[str, str]]:
    """Where else people can sign in: what the URLs' names begin with, and the name."""
    known = (("github", "GitHub", settings.GITHUB_CLIENT_ID), ("google", "Google", settings.GOOGLE_CLIENT_ID))
    return [(name, called) for name, called, client_id in known if client_id]


def _onward(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else "/"
