"""Signing in and out."""

from django.urls import path

from dashboard.views import sign_in

urlpatterns = [
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("setup/<str:secret>/", sign_in.setup, name="setup"),
]
