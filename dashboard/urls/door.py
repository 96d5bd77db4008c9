"""Signing in and out, and what a person signs in with.

Most pages of second factors, passkeys, addresses and accounts elsewhere are allauth's views under our addresses; of
its views only those that are named here exist. Where it looks for a name of its own, a page has two.
"""

from allauth.account import views as account
from allauth.mfa.base import views as factors
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as app
from allauth.mfa.webauthn import views as passkeys
from allauth.socialaccount import views as elsewhere
from django.urls import path, re_path
from django.utils.module_loading import import_string

from dashboard.views import email, password, sessions, sign_in, two_factor

urlpatterns = [
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-in/", sign_in.sign_in, name="account_login"),
    path("sign-in/two-factor/", factors.authenticate, name="mfa_authenticate"),
    path("sign-in/passkey/", passkeys.login_webauthn, name="mfa_login_webauthn"),
    path("sign-in/forgotten/", sign_in.forgotten, name="account_reset_password"),
    path("sign-in/forgotten/sent/", account.password_reset_done, name="account_reset_password_done"),
    path(
        "sign-in/forgotten/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^sign-in/forgotten/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("sign-in/with/", elsewhere.login_error, name="socialaccount_login_error"),
    path("sign-in/with/nothing/", elsewhere.login_cancelled, name="socialaccount_login_cancelled"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("setup/<str:secret>/", sign_in.setup, name="setup"),
    path("account/confirm/", account.reauthenticate, name="account_reauthenticate"),
    path("account/confirm/code/", factors.reauthenticate, name="mfa_reauthenticate"),
    path("account/confirm/passkey/", passkeys.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("account/email/", email.email, name="email"),
    path("account/email/", email.email, name="account_email"),
    re_path(r"^account/email/(?P<key>[-:\w]+)/$", account.confirm_email, name="account_confirm_email"),
    path("account/password/", password.password, name="password"),
    path("account/password/", password.password, name="account_change_password"),
    path("account/two-factor/", two_factor.index, name="two-factor"),
    path("account/two-factor/", two_factor.index, name="mfa_index"),
    path("account/two-factor/", two_factor.index, name="mfa_list_webauthn"),
    path("account/two-factor/app/", app.activate_totp, name="mfa_activate_totp"),
    path("account/two-factor/app/removal/", app.deactivate_totp, name="mfa_deactivate_totp"),
    path("account/two-factor/codes/", codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("account/two-factor/codes/new/", codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("account/two-factor/passkeys/new/", passkeys.add_webauthn, name="mfa_add_webauthn"),
    path("account/two-factor/passkeys/<int:pk>/name/", passkeys.edit_webauthn, name="mfa_edit_webauthn"),
    path(
        "account/two-factor/passkeys/<int:pk>/removal/", passkeys.remove_webauthn, name="mfa_remove_webauthn"
    ),
    path("account/sessions/", sessions.index, name="sessions"),
    path("account/sessions/", sessions.index, name="usersessions_list"),
    path("account/sessions/others/removal/", sessions.end_others, name="sessions-others-removal"),
    path("account/sessions/<int:session_id>/removal/", sessions.end, name="session-removal"),
]

for _name, _called in sign_in.elsewhere():
    _views = f"allauth.socialaccount.providers.{_name}.views"
    urlpatterns += [
        path(f"sign-in/with/{_name}/", import_string(f"{_views}.oauth2_login"), name=f"{_name}_login"),
        path(
            f"sign-in/with/{_name}/callback/",
            import_string(f"{_views}.oauth2_callback"),
            name=f"{_name}_callback",
        ),
    ]
if sign_in.elsewhere():
    urlpatterns.append(path("account/connections/", elsewhere.connections, name="socialaccount_connections"))
