"""Proving who one is to a program: a password, and the code of a second factor where there is one."""

from allauth.mfa.models import Authenticator

from accounts import two_factor
from accounts.models import User
from accounts.sign_in import sign_in
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
        if not _is_code_of(user, code):
            raise Refusal("This code is not the one that is due.", id="two_factor", status=403)
    elif two_factor.demanded_of(user):
        raise Refusal(
            "Your operators demand a second factor. Sign in with a browser and set one up first.",
            id="forbidden",
            status=403,
        )
    return user


def _is_code_of(user: User, code: str) -> bool:
    """Whether `code` is what an authenticator app shows, or a recovery code (which it uses up)."""
    rows = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.WEBAUTHN)
    return any(row.wrap().validate_code(code) for row in rows)
