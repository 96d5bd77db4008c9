"""Git and the blobs of sources."""

from django.urls import include, path

urlpatterns = [path("", include("releases.stream_urls"))]
