"""Where the dashboard, the admin site and git live. Requests of the Platform API are told apart by
`core.middleware.ApiMiddleware` and use `config.api_urls`."""

from django.contrib import admin
from django.urls import include, path

from config.operators import sign_in

urlpatterns = [
    path("admin/login/", sign_in),
    path("admin/", admin.site.urls),
    path("", include("releases.urls")),
    path("", include("forge.urls")),
    path("", include("api.elsewhere")),
    path("", include("api.exec_manager")),
    path("", include("pipelines.downloads")),
    path("", include("api.pages")),
    path("", include("dashboard.urls")),
]

handler500 = "dashboard.views.errors.broken"
