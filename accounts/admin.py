"""People, teams and tokens, for operators."""

from django.apps import apps as registry
from django.contrib import admin
from django.contrib.auth.models import Group

from accounts import actions, two_factor
from accounts.models import ApiToken, Membership, Team, User
from core.admin import Shown, ShownInline, each

admin.site.unregister(Group)
for _config in registry.get_app_configs():
    if _config.name.startswith("allauth."):  # secrets of second factors, sessions: nothing for a list of rows
        for _model in filter(admin.site.is_registered, _config.get_models()):
            admin.site.unregister(_model)


class MembershipInline(ShownInline):
    """A person's teams, or a team's people."""

    model = Membership
    fields = ("team", "user", "role", "created_at")


@admin.register(User)
class UserAdmin(Shown):
    """Accounts. New ones come by `manage.py adduser` or the first sign-in link."""

    list_display = ("email", "name", "is_active", "is_staff", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff", "date_joined")
    search_fields = ("email", "name", "id")
    fields = ("id", "email", "name", "is_active", "is_staff", "last_login", "date_joined")
    inlines = (MembershipInline,)
    actions = (
        each(lambda user, by: actions.suspend(user, by=by), "Suspend"),
        each(lambda user, by: actions.reinstate(user, by=by), "Reinstate"),
        each(lambda user, by: two_factor.turn_off(user, by=by), "Turn off two-factor"),
    )


@admin.register(Team)
class TeamAdmin(Shown):
    """Teams and who is in them."""

    list_display = ("name", "created_at")
    search_fields = ("name", "members__email")
    inlines = (MembershipInline,)


@admin.register(ApiToken)
class ApiTokenAdmin(Shown):
    """Tokens, without anything that could be presented."""

    list_display = ("__str__", "user", "created_at", "used_at", "expires_at", "revoked_at")
    list_filter = ("created_at", "revoked_at")
    search_fields = ("description", "user__email")
    exclude = ("digest",)
    actions = (each(lambda token, by: actions.revoke_token(token, by=by), "Revoke"),)
