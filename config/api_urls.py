"""The Platform API at the root, as the Heroku CLI expects it, and what programs share with browsers."""

from django.urls import include, path

from api.pages import document_urls

urlpatterns = [
    path("", include("releases.urls")),
    path("", include("api.elsewhere")),
    path("", include("pipelines.downloads")),
    *document_urls,
    path("", include("api.bridged_urls")),
    path("", include("api.urls")),
]
handler404 = "api.http.not_found"
handler500 = "api.http.broken"
