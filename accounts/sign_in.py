"""Signing in with a password, and the patience that guessing costs (promise I-36)."""

from datetime import timedelta

from allauth.account.internal.flows.login import (
    get_authentication_records,
    perform_login,
    record_authentication,
)
from allauth.account.models import Login
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.models import FailedSignIn, User
from core import secrets
from core.errors import Refusal

WINDOW = timedelta(minutes=15)
FREE_TRIES = {"account": 5, "address": 20}  # within the window, before waiting begins
LONGEST_WAIT = 60  # seconds; so nobody can lock another person out for long
WRONG = "That password does not match this email."
WRONG_AGAIN = "That is not your password."


def sign_in(email: str, password: str, *, address: str | None) -> User:
    """The person with this e-mail address and password. `Refusal` says the same for known and unknown accounts.

    After a few failures each further try has to wait twice as long as the one before, per account and per address.
    A try that comes too soon is not looked at, and does not make the wait longer.
    """
    account = secrets.digest(email.strip().lower())
    _demand_patience(account, address or "")
    user = authenticate(username=email.strip().lower(), password=password)
    if user is None:
        FailedSignIn.objects.filter(at__lt=timezone.now() - 4 * WINDOW).delete()
        FailedSignIn.objects.create(account=account, address=address or "")
        raise Refusal(WRONG, fields={"password": WRONG})
    assert isinstance(user, User)
    FailedSignIn.objects.filter(account=account).delete()
    return user


def enter(request: HttpRequest, user: User, *, by: str, onward: str) -> HttpResponse:
    """Let `user` in, who has proved who they are `by` “password” or “link”: either they are signed in and sent
    `onward`, a page of ours, or they are sent to show their second factor first."""
    record_authentication(request, user, method=by, reauthenticated=True)
    return perform_login(request, Login(user=user, redirect_url=onward))


def ways(request: HttpRequest, user: User) -> list[str]:
    """How `user` proved who they are in this session: `["password", "totp"]`, say."""
    records = get_authentication_records(request, user)
    return [str(one.get("provider") or one.get("type") or one["method"]) for one in records]


def _demand_patience(account: str, address: str) -> None:
    now = timezone.now()
    recent = FailedSignIn.objects.filter(at__gt=now - WINDOW).order_by("-at")
    for tries, free in (
        (recent.filter(account=account), FREE_TRIES["account"]),
        (recent.filter(address=address), FREE_TRIES["address"]),
    ):
        times = list(tries.values_list("at", flat=True)[: free + 10])
        if len(times) < free:
            continue
        wait = min(2 ** (len(times) - free), LONGEST_WAIT)
        left = wait - (now - times[0]).total_seconds()
        if left > 0:
            raise Refusal(
                f"Too many tries. Wait {int(left) + 1} s, then try again.",
                id="rate_limit",
                status=429,
                fields={"password": f"Too many tries. Wait {int(left) + 1} s, then try again."},
            )
