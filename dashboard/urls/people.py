"""Teams and invitations into them, the account, tokens."""

from django.urls import path

from dashboard.views import account, invitations, members, teams, tokens

urlpatterns = [
    path("teams/", teams.index, name="teams"),
    path("teams/<slug:name>/", teams.show, name="team"),
    path("teams/<slug:name>/activity/", teams.activity, name="team-activity"),
    path("teams/<slug:name>/settings/", teams.settings, name="team-settings"),
    path("teams/<slug:name>/name/", teams.rename, name="team-name"),
    path("teams/<slug:name>/removal/", teams.delete, name="team-removal"),
    path("teams/<slug:name>/members/", members.members, name="members"),
    path("teams/<slug:name>/members/<uuid:user_id>/role/", members.change_role, name="member-role"),
    path("teams/<slug:name>/members/<uuid:user_id>/removal/", members.remove, name="member-removal"),
    path("teams/<slug:name>/invitations/", members.invite, name="invitations"),
    path(
        "teams/<slug:name>/invitations/<uuid:invitation_id>/renewal/",
        members.renew,
        name="invitation-renewal",
    ),
    path(
        "teams/<slug:name>/invitations/<uuid:invitation_id>/withdrawal/",
        members.withdraw,
        name="invitation-withdrawal",
    ),
    path("invitations/<str:secret>/", invitations.invitation, name="invitation"),
    path("invitations/<str:secret>/account/", invitations.sign_up, name="invitation-account"),
    path("account/", account.account, name="account"),
    path("account/name/", account.rename, name="account-name"),
    path("account/shortcuts/", account.shortcuts, name="account-shortcuts"),
    path("account/removal/", account.delete, name="account-removal"),
    path("account/tokens/", tokens.tokens, name="tokens"),
    path("account/tokens/new/", tokens.create, name="token-new"),
    path("account/tokens/<uuid:token_id>/removal/", tokens.revoke, name="token-removal"),
]
