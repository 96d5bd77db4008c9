"""allauth's forms for passkeys, made to refuse what no browser sends instead of failing on it."""

import struct
from collections.abc import Callable
from typing import Any

from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

LONGEST = 64 * 1024
NAME = 60
SAID = "That passkey does not fit. Try again, or use another one."
MALFORMED = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError, struct.error)


class CredentialField(forms.JSONField):
    """What a browser answers about a passkey. `read` is the library's own reader of it."""

    def __init__(self, read: Callable[[Any], object]) -> None:
        super().__init__(
            widget=forms.HiddenInput, error_messages={"invalid": SAID, "required": "No passkey was shown."}
        )
        self.read = read

    def to_python(self, value: Any) -> Any:
        if len(value or "") > LONGEST:
            raise forms.ValidationError(SAID)
        try:
            found = super().to_python(value)
            if found is not None:
                self.read(found)
        except MALFORMED as error:
            raise forms.ValidationError(SAID) from error
        return found


class AddForm(AddWebAuthnForm):
    name = forms.CharField(required=False, max_length=NAME)
    credential = CredentialField(RegistrationResponse.from_dict)


class RenameForm(EditWebAuthnForm):
    name = forms.CharField(max_length=NAME)


class SecondFactorForm(AuthenticateWebAuthnForm):
    credential = CredentialField(AuthenticationResponse.from_dict)


class SignInForm(LoginWebAuthnForm):
    credential = CredentialField(AuthenticationResponse.from_dict)


class ConfirmForm(ReauthenticateWebAuthnForm):
    credential = CredentialField(AuthenticationResponse.from_dict)
