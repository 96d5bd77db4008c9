"""The archive of an app's log."""

from django.urls import path

from dashboard.views import archive

urlpatterns = [
    path("apps/<slug:name>/log-archive/", archive.search, name="log-archive"),
    path("apps/<slug:name>/log-archive/searches/", archive.save, name="log-searches"),
    path(
        "apps/<slug:name>/log-archive/searches/<uuid:search_id>/removal/",
        archive.forget,
        name="log-search-removal",
    ),
]
