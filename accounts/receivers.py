"""What allauth did to an account, as the activity tells it. Secrets are never in there."""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress
from allauth.account.signals import email_changed, user_logged_in
from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.signals import social_account_added, social_account_removed
from allauth.usersessions.signals import on_user_logged_in
from django.http import HttpRequest

from accounts import sessions
from accounts.models import User
from accounts.two_factor import FACTORS
from core import activity, live

CALLED = {"totp": "authenticator app", "webauthn": "passkey", "recovery_codes": "recovery codes"}


def connect() -> None:
    """Have it recorded from now on; called once, when Django has started."""
    signals.authenticator_added.connect(_factor_added)
    signals.authenticator_removed.connect(_factor_removed)
    signals.authenticator_reset.connect(_codes_made)
    signals.authentication_failed.connect(_factor_refused)
    email_changed.connect(_address_changed)
    social_account_added.connect(_connected)
    social_account_removed.connect(_disconnected)
    # allauth looks at each old session of theirs on its own when someone signs in.
    user_logged_in.disconnect(on_user_logged_in)
    user_logged_in.connect(_signed_in)


def _signed_in(user: User, **_: Any) -> None:
    sessions.forget_ended(user)


def _factor_added(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    activity.record(user, "added a second factor to", user, factor=CALLED[authenticator.type])
    if authenticator.type in FACTORS:  # setting it up has shown it to this session
        record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)


def _factor_removed(user: User, authenticator: Authenticator, **_: Any) -> None:
    activity.record(user, "removed a second factor of", user, factor=CALLED[authenticator.type])


def _codes_made(user: User, **_: Any) -> None:
    activity.record(user, "made new recovery codes for", user)


def _factor_refused(user: User, **_: Any) -> None:
    activity.record(None, "refused a second factor of", user)


def _address_changed(
    user: User, from_email_address: EmailAddress | None, to_email_address: EmailAddress, **_: Any
) -> None:
    before = from_email_address.email if from_email_address else ""
    activity.record(user, "changed the address of", user, before=before, after=to_email_address.email)
    live.tell(f"user:{user.pk}")


def _connected(sociallogin: Any, **_: Any) -> None:
    user = sociallogin.user
    activity.record(user, "connected", user, provider=sociallogin.account.provider)


def _disconnected(socialaccount: SocialAccount, **_: Any) -> None:
    user = socialaccount.user
    activity.record(user, "disconnected", user, provider=socialaccount.provider)
