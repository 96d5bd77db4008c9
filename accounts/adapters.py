"""Where allauth asks the product: how people sign in, what they are told, and where secrets of second factors go."""

import logging
import smtplib
import threading
from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailConfirmation
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import actions, invitations, sessions, sign_in, two_factor
from core import activity
from core.errors import Refusal
from core.text import storable

log = logging.getLogger(__name__)

# What allauth has done, in our words; about all else it is silent.
DONE = {
    "account/messages/password_changed.txt": "Your password is changed. Other browsers are signed out.",
    "account/messages/email_confirmed.txt": "Your address is changed. Sign in with the new one from now on.",
    "account/messages/email_confirmation_failed.txt": "This address can’t be used here.",
    "mfa/messages/totp_activated.txt": "Your authenticator app is set up.",
    "mfa/messages/totp_deactivated.txt": "Codes of your authenticator app are no longer asked for.",
    "mfa/messages/webauthn_added.txt": "Your passkey is added.",
    "mfa/messages/webauthn_removed.txt": "Your passkey is removed.",
    "socialaccount/messages/account_connected.txt": "Your account there is connected: you can sign in with it.",
    "socialaccount/messages/account_connected_other.txt": "That account is connected with somebody else here.",
    "socialaccount/messages/account_disconnected.txt": "It is no longer connected.",
}

# What someone is told by mail when it happens to their account, whoever did it.
NOTICES = {
    "account/email/password_changed": "The password of your account was changed.",
    "account/email/password_reset": "The password of your account was set anew by a link from a mail.",
    "account/email/email_changed": "The e-mail address of your account was changed.",
    "mfa/email/totp_activated": "An authenticator app was set up for your account.",
    "mfa/email/totp_deactivated": "The authenticator app was removed from your account.",
    "mfa/email/webauthn_added": "A passkey was added to your account.",
    "mfa/email/webauthn_removed": "A passkey was removed from your account.",
    "mfa/email/recovery_codes_generated": "New recovery codes were made for your account. The old ones are void.",
    "socialaccount/email/account_connected": "An account elsewhere was connected with yours: it signs in to it.",
    "socialaccount/email/account_disconnected": "An account elsewhere no longer signs in to yours.",
}

WAYS = {
    "reauthenticate": "Use your password",
    "mfa_reauthenticate": "Use a code",
    "mfa_reauthenticate:webauthn": "Use a passkey",
    "password": "Set a password",
}


class AccountAdapter(DefaultAccountAdapter):
    """Passwords, addresses, mail, and where people go."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "duplicate_email": "This is your address already.",
        "email_taken": "This address can’t be used here.",
        "incorrect_password": sign_in.WRONG_AGAIN,
        "incorrect_code": "That code is not right, or was used already.",
        "invalid_password_reset": "This link no longer works.",
        "too_many_login_attempts": "Too many tries. Wait five minutes, then try again.",
        "rate_limited": "Too many tries. Wait five minutes, then try again.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are made by invitation, by operators, and by the link of the first start."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return sessions.address_of(request)

    def is_safe_url(self, url: str) -> bool:
        """Only pages of ours (promise I-45)."""
        request = context.request
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )

    def reauthenticate(self, user: Any, password: str) -> bool:
        """Whether this is the password; guessing is as slow as at the door."""
        try:
            return (
                sign_in.sign_in(user.email, password, address=self.get_client_ip(self.request)).pk == user.pk
            )
        except Refusal as refusal:
            said = refusal.message if refusal.status == 429 else sign_in.WRONG_AGAIN
            raise ValidationError(said) from refusal

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Who has a second factor confirms with it: a password that was found out must not turn it off. Who has neither
        it nor a password, because an account elsewhere lets them in, sets a password first."""
        methods = super().get_reauthentication_methods(user)
        factors = [method for method in methods if method["id"] != "reauthenticate"]
        if factors and not Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists():
            factors.reverse()  # the passkey first: recovery codes are for bad days
        known = factors or methods or [{"id": "password", "url": reverse("password")}]
        return [{**method, "description": WAYS[method["id"]]} for method in known]

    def set_password(self, user: Any, password: str) -> None:
        actions.change_password(user, password, by=user)

    def post_login(self, request: HttpRequest, user: Any, **hooks: Any) -> HttpResponse:
        activity.record(user, "signed in", user, ways=sign_in.ways(request, user))
        return super().post_login(request, user, **hooks)

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        messages.error(request, "This account is suspended. Ask an operator of this Slipway why.")
        return redirect("sign-in")

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        message_context: dict[str, Any] | None = None,
        extra_tags: str = "",
        message: str | None = None,
    ) -> None:
        said = message or DONE.get(message_template or "")
        if said:
            messages.add_message(request, level, said, extra_tags=extra_tags)

    # --- mail ---------------------------------------------------------------------------------------------------------

    def get_reset_password_from_key_url(self, key: str) -> str:
        """At the dashboard's own address, whatever host the request named."""
        return settings.URL + reverse("account_reset_password_from_key", args=["UID", "KEY"]).replace(
            "UID-KEY", key
        )

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: EmailConfirmation) -> str:
        return settings.URL + reverse("account_confirm_email", args=[emailconfirmation.key])

    def send_password_reset_mail(self, user: Any, email: str, context: dict[str, Any]) -> None:
        """Behind the asker's back: how long the mail server takes must not tell that the account exists."""
        mail = self.render_mail("account/email/password_reset_key", email, {**context, "host": settings.HOST})
        threading.Thread(target=_send_quietly, args=[mail], daemon=True).start()

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        mail = self.render_mail(template_prefix, email, {**context, "host": settings.HOST})
        try:
            mail.send()
        except (OSError, smtplib.SMTPException) as error:
            log.warning("The mail server did not take a mail: %s", error)
            raise Refusal("The mail server did not take the mail. Ask an operator to look at it.") from error

    def send_notification_mail(
        self,
        template_prefix: str,
        user: Any,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        if not settings.MAIL:
            return
        said = {
            "what": NOTICES[template_prefix],
            "address": self.get_client_ip(self.request),
            "device": sessions.device(sessions.agent_of(self.request)),
            "url": settings.URL,
            "host": settings.HOST,
        }
        mail = self.render_mail("account/email/notice", email or user.email, said)
        threading.Thread(target=_send_quietly, args=[mail], daemon=True).start()


def _send_quietly(mail: EmailMessage) -> None:
    try:
        mail.send()
    except (OSError, smtplib.SMTPException) as error:
        log.warning("The mail server did not take a mail: %s", error)


class TwoFactorAdapter(DefaultMFAAdapter):
    """Second factors."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "That code is not right, or was used already.",
    }

    def encrypt(self, text: str) -> str:
        return two_factor.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return two_factor.unseal(encrypted_text)

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        count = Authenticator.objects.filter(user=user, type=type).count()
        return f"Passkey {count + 1}" if count else "Passkey"

    def get_public_key_credential_user_entity(self, user: Any) -> dict[str, Any]:
        return {**super().get_public_key_credential_user_entity(user), "display_name": user.get_full_name()}


class SocialAdapter(DefaultSocialAccountAdapter):
    """Accounts elsewhere: they open accounts that they were connected with, and accept invitations."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultSocialAccountAdapter.error_messages,
        "no_password": "There is no other way into your account: set a password first.",
        "no_verified_email": "There is no other way into your account: set a password first.",
        "connected_other": "That account is connected with somebody else here.",
    }

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Let in who is invited: the other service vouches for the address that the invitation is for. What else it
        tells is kept with the account, and it may tell anything."""
        sociallogin.account.extra_data = storable(sociallogin.account.extra_data)
        if sociallogin.is_existing or request.user.is_authenticated:
            return
        vouched = [address.email for address in sociallogin.email_addresses if address.verified]
        name = str(sociallogin.account.extra_data.get("name") or "")
        user = invitations.sign_up_vouched(vouched, name=name)
        if user is not None:
            sociallogin.connect(request, user)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Nobody else is."""
        return False

    def list_apps(self, request: Any, provider: Any = None, client_id: Any = None) -> list[Any]:
        """Those that the settings name: no secret of theirs is in the database."""
        found = super().list_apps(None, provider=provider, client_id=client_id)
        return [app for app in found if app.pk is None and app.client_id]
