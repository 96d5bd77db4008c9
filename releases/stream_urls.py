"""Addresses of log streams for programs; see `releases.streams`."""

from django.urls import path

from releases import stream_views

urlpatterns = [
    path("streams/logs/<str:token>", stream_views.log_session, name="log-session"),
    path("streams/<slug:kind>/<uuid:ref>/<str:token>", stream_views.output, name="output-stream"),
]
