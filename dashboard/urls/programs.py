"""Letting programs in."""

from django.urls import path

from dashboard.views import cli_sign_in, programs

urlpatterns = [
    path("sign-in/cli/<uuid:ref>/", cli_sign_in.show, name="cli-sign-in"),
    path("sign-in/cli/<uuid:ref>/approval/", cli_sign_in.approve, name="cli-sign-in-approval"),
    path("sign-in/cli/<uuid:ref>/refusal/", cli_sign_in.refuse, name="cli-sign-in-refusal"),
    path("oauth/authorize", programs.authorize, name="oauth"),
    path("oauth/authorize/approval/", programs.approve, name="oauth-approval"),
    path("oauth/authorize/refusal/", programs.refuse, name="oauth-refusal"),
    path("account/programs/", programs.programs, name="programs"),
    path("account/programs/<uuid:token_id>/removal/", programs.revoke, name="program-removal"),
    path("account/programs/own/new/", programs.register, name="client-new"),
    path("account/programs/own/<uuid:client_id>/secret/", programs.rotate, name="client-secret"),
    path("account/programs/own/<uuid:client_id>/removal/", programs.remove, name="client-removal"),
]
