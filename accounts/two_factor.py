"""Second factors: who has one, who must have one, and how their secrets are kept.

The factors themselves (codes of an app, recovery codes, passkeys) are allauth's `Authenticator`s.
"""

from types import SimpleNamespace
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, generate_totp_secret
from django import forms
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import User
from core import activity, live, secrets

FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
BOUND_TO = "two-factor"


# --- who --------------------------------------------------------------------------------------------------------------


def has_factor(user: User) -> bool:
    """Whether `user` has an authenticator app or a passkey."""
    return Authenticator.objects.filter(user=user, type__in=FACTORS).exists()


def with_factor(rows: "QuerySet[Any]") -> "QuerySet[Any]":
    """Have `rows`, each with a user, bring along as `has_factor` whether that user has one."""
    factors = Authenticator.objects.filter(user=OuterRef("user"), type__in=FACTORS)
    return rows.annotate(has_factor=Exists(factors))


def proved(user: User, session: SessionBase) -> bool:
    """Whether `session` has seen a factor of its user, at sign-in or later. Costs no query."""
    records = get_authentication_records(SimpleNamespace(session=session), user)
    return any(one.get("method") == "mfa" for one in records)


def demanded_of(user: User) -> bool:
    """Whether the operator of this Slipway wants a second factor of `user`."""
    wanted = settings.REQUIRE_TWO_FACTOR
    return wanted == "everyone" or (wanted == "operators" and user.is_staff)


def missing(user: User, session: SessionBase) -> bool:
    """Whether `user` has to set up a factor before anything else opens to them, websockets included."""
    return demanded_of(user) and not proved(user, session) and not has_factor(user)


@transaction.atomic
def turn_off(user: User, *, by: User | None) -> None:
    """Forget every factor of someone who has lost them: their password alone signs them in again."""
    gone, _ = Authenticator.objects.filter(user=user).delete()
    if gone:
        activity.record(by, "turned off two-factor of", user)
        live.tell(f"user:{user.pk}")


# --- secrets ----------------------------------------------------------------------------------------------------------


class ActivateAppForm(ActivateTOTPForm):
    """allauth's form, but the secret that waits in the session for its first code is sealed too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.user = kwargs.pop("user")
        forms.Form.__init__(self, *args, **kwargs)
        self.secret = _waiting_secret(fresh=not self.is_bound)


def _waiting_secret(*, fresh: bool) -> str:
    from allauth.core import context

    session = context.request.session
    if not fresh and SECRET_SESSION_KEY in session:
        return unseal(session[SECRET_SESSION_KEY])
    secret = generate_totp_secret()
    session[SECRET_SESSION_KEY] = seal(secret)
    return secret


def seal(text: str) -> str:
    """How a secret of a factor is stored."""
    return secrets.seal(text.encode(), to=BOUND_TO)


def unseal(sealed: str) -> str:
    """What `seal` was given."""
    return secrets.unseal(sealed, to=BOUND_TO).decode()


def sealed() -> list[tuple[Authenticator, str, str]]:
    """Every sealed secret: its row, its place in `data`, and the value, for the change of keys."""
    rows = Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN)
    return [(row, key, row.data[key]) for row in rows for key in ("secret", "seed") if key in row.data]


@transaction.atomic
def seal_again() -> int:
    """Seal what is under another key than the current one again; returns how many secrets that were."""
    current, count = secrets.current_key(), 0
    for row, key, value in sealed():
        if value.startswith(f"{current}."):
            continue
        locked = Authenticator.objects.select_for_update().get(pk=row.pk)
        locked.data[key] = seal(unseal(locked.data[key]))
        locked.save(update_fields=["data"])
        count += 1
    return count
