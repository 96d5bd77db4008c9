"""Proving who one is to a program: a password, and the code of a second factor where there is one."""

from allauth.mfa.base.internal.flows import check_rate_limit
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError

from accounts import two_factor
from accounts.models import User
from accounts.sign_in import sign_in
from core import activity
from core.errors import Refusal


def prove(email: str, password: str, code: str, *, address: str | None) -> User:
    """The person with this e-mail address and password, and with this code if they have a second factor. `Refusal`
    (401, or `two_factor` when only the code is missing or wrong) else; wrong passwords cost patience as at sign-in."""
    try:
        user = sign_in(email, password, address=address)
    except Refusal as error:
        status = error.status if error.status == 429 else 401
        raise Refusal(
            error.message, id="unauthorized" if status == 401 else error.id, status=status
        ) from error
    if two_factor.has_factor(user):
        if not code:
            raise Refusal("Enter the code of your second factor.", id="two_factor", status=403)
        _demand_code(user, code)
    elif two_factor.demanded_of(user):
        raise Refusal(
            "Your operators demand a second factor. Sign in with a browser and set one up first.",
            id="forbidden",
            status=403,
        )
    return user


def _demand_code(user: User, code: str) -> None:
    """`Refusal` unless this is the code that is due. Wrong ones are counted together with those of the door, so that
    nobody can try them all here."""
    try:
        forget_tries = check_rate_limit(user)
    except ValidationError as error:
        raise Refusal(" ".join(error.messages), id="rate_limit", status=429) from error
    if not _is_code_of(user, code):
        activity.record(None, "refused a second factor of", user)
        raise Refusal("This code is not the one that is due.", id="two_factor", status=403)
    forget_tries()


def _is_code_of(user: User, code: str) -> bool:
    """Whether `code` is what an authenticator app shows, or a recovery code (which it uses up)."""
    rows = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.WEBAUTHN)
    return any(row.wrap().validate_code(code) for row in rows)
