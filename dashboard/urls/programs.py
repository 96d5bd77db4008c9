"""Letting programs in."""

from django.urls import path

from dashboard.views import cli_sign_in

urlpatterns = [
    path("sign-in/cli/<uuid:ref>/", cli_sign_in.show, name="cli-sign-in"),
    path("sign-in/cli/<uuid:ref>/approval/", cli_sign_in.approve, name="cli-sign-in-approval"),
    path("sign-in/cli/<uuid:ref>/refusal/", cli_sign_in.refuse, name="cli-sign-in-refusal"),
]
