"""People, teams and tokens, for operators."""

from typing import ClassVar

from django.contrib import admin
from django.contrib.auth.models import Group
from unfold.decorators import display

from accounts import actions, sessions, two_factor
from accounts.models import ApiToken, Invitation, Membership, OAuthClient, User
from core.admin import Shown, ShownInline, once
from core.deeds import Deed

NOT_OURS = ("account", "mfa", "socialaccount", "usersessions")  # allauth's tables hold secrets

admin.site.unregister(Group)
for model in [model for model in admin.site._registry if model._meta.app_label in NOT_OURS]:
    admin.site.unregister(model)


class MembershipInline(ShownInline):
    """A person's teams, or a team's people."""

    model = Membership
    fields = ("team", "user", "role", "created_at")
    show_change_link = False
    related = ("team", "user")


class TokenInline(ShownInline):
    """A person's tokens, without anything that could be presented."""

    model = ApiToken
    verbose_name_plural = "API tokens"
    fields = ("description", "created_at", "used_at", "expires_at", "revoked_at")


@admin.register(User)
class UserAdmin(Shown):
    """Accounts. New ones come by invitation, `manage.py adduser` or the first sign-in link."""

    list_display = ("email", "name", "standing", "operator", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff", "date_joined", "last_login")
    search_fields = ("email", "name", "id")
    search_help_text = "E-mail address, name or id"
    ordering = ("-date_joined",)
    fields = (
        "id",
        "email",
        "name",
        "is_active",
        "is_staff",
        "browsers",
        "factors",
        "last_login",
        "date_joined",
    )
    inlines = (MembershipInline, TokenInline)
    deeds: ClassVar[tuple[Deed, ...]] = (
        Deed(
            "suspend",
            "Suspend",
            "They are signed out everywhere and locked out, page, API and git alike. Nothing that they own is touched: "
            "their own apps go on running, and go on answering visitors. “Suspend their apps” stops those too.",
            lambda user, by: actions.suspend(user, by=by),
            icon="block",
            grave=True,
            fits=lambda user: user.is_active,
        ),
        Deed(
            "reinstate",
            "Reinstate",
            "They can sign in again, with the password and the tokens that they had.",
            lambda user, by: actions.reinstate(user, by=by),
            icon="undo",
            fits=lambda user: not user.is_active,
        ),
        Deed(
            "link",
            "Make a sign-in link",
            "Whoever opens the link is signed in as this person, once, within a day. Earlier links are void. Hand it to "
            "them by a way that you trust.",
            lambda user, by: actions.make_sign_in_link(user, by=by),
            icon="link",
            fits=lambda user: user.is_active,
            reveals="One-time sign-in link",
        ),
        Deed(
            "sessions",
            "End all sessions",
            "Every browser that is signed in as this person has to sign in again, and its open pages close.",
            lambda user, by: sessions.end_others(user, None, by=by),
            icon="logout",
        ),
        Deed(
            "tokens",
            "Revoke all tokens",
            "Scripts, git and the command line of this person stop working until they make new tokens.",
            lambda user, by: actions.revoke_tokens(user, by=by),
            icon="key_off",
            grave=True,
        ),
        Deed(
            "factors",
            "Turn off two-factor",
            "Their password alone signs them in until they set it up again. For people who have lost their device.",
            lambda user, by: two_factor.turn_off(user, by=by),
            icon="lock_open",
            grave=True,
        ),
    )

    @display(description="Standing", ordering="is_active", label={"active": "success", "suspended": "danger"})
    def standing(self, user: User) -> str:
        return "active" if user.is_active else "suspended"

    @display(description="Operator", ordering="is_staff", label={"operator": "primary"})
    def operator(self, user: User) -> str | None:
        return "operator" if user.is_staff else None

    @admin.display(description="Signed in with")
    @once
    def browsers(self, user: User) -> str:
        """The browsers, most recent first, without anything that could be presented."""
        found = sessions.browsers_of(user, None)
        return ", ".join(f"{one.device}, seen {one.seen:%d %b %Y %H:%M} UTC" for one in found) or "no browser"

    @admin.display(description="Two-factor", boolean=True)
    @once
    def factors(self, user: User) -> bool:
        return two_factor.has_factor(user)


@admin.register(Invitation)
class InvitationAdmin(Shown):
    """Offers to join a team; what accepts them is nowhere to be seen."""

    list_display = ("email", "team", "role", "by", "created_at", "expires_at", "accepted_at", "withdrawn_at")
    list_filter = ("role", "created_at", ("accepted_at", admin.EmptyFieldListFilter))
    search_fields = ("email", "team__name", "id")
    list_select_related = ("team", "by")
    exclude = ("digest",)


@admin.register(OAuthClient)
class OAuthClientAdmin(Shown):
    """Programs that people have registered to ask others; their secrets are nowhere to be seen."""

    list_display = ("name", "user", "redirect_uri", "created_at")
    list_filter = ("created_at",)
    search_fields = ("name", "redirect_uri", "user__email", "id")
    list_select_related = ("user",)
    exclude = ("digest",)


@admin.register(ApiToken)
class ApiTokenAdmin(Shown):
    """Tokens, without anything that could be presented."""

    list_display = ("__str__", "user", "created_at", "used_at", "expires_at", "revoked_at")
    list_filter = ("created_at", "used_at", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("description", "user__email", "id")
    list_select_related = ("user",)
    exclude = ("digest", "refresh_digest")
    deeds: ClassVar = (
        Deed(
            "revoke",
            "Revoke",
            "Whatever presents this token is refused from now on. It can't be undone; a new token can be made.",
            lambda token, by: actions.revoke_token(token, by=by),
            icon="key_off",
            grave=True,
            fits=lambda token: token.revoked_at is None,
        ),
    )
