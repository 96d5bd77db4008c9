"""Teams, the account, tokens."""

from django.urls import path

from dashboard.views import account, teams, tokens

urlpatterns = [
    path("teams/", teams.index, name="teams"),
    path("teams/<slug:name>/", teams.show, name="team"),
    path("teams/<slug:name>/members/", teams.add_member, name="members"),
    path("teams/<slug:name>/members/<uuid:user_id>/role/", teams.change_role, name="member-role"),
    path(
        "teams/<slug:name>/members/<uuid:user_id>/removal/",
        teams.remove_member,
        name="member-removal",
    ),
    path("account/", account.account, name="account"),
    path("account/name/", account.rename, name="account-name"),
    path("account/password/", account.password, name="account-password"),
    path("account/tokens/", tokens.tokens, name="tokens"),
    path("account/tokens/new/", tokens.create, name="token-new"),
    path("account/tokens/<uuid:token_id>/removal/", tokens.revoke, name="token-removal"),
]
