"""An app: what runs, how code gets there, its releases."""

from django.urls import path

from dashboard.views import app, apps, builds, deploy, releases, resources

urlpatterns = [
    path("apps/", apps.index, name="apps"),
    path("apps/new/", apps.new, name="app-new"),
    path("apps/<slug:name>/", app.overview, name="app"),
    path("apps/<slug:name>/resources/", resources.resources, name="app-resources"),
    path("apps/<slug:name>/formation/", resources.scale, name="app-formation"),
    path("apps/<slug:name>/autoscale/", resources.scale_by_itself, name="app-autoscale"),
    path("apps/<slug:name>/restarts/", resources.restart, name="app-restarts"),
    path("apps/<slug:name>/dynos/", resources.run, name="app-dynos"),
    path("apps/<slug:name>/dynos/<str:dyno>/removal/", resources.stop, name="dyno-removal"),
    path("apps/<slug:name>/deploy/", deploy.deploy, name="app-deploy"),
    path("apps/<slug:name>/sources/", deploy.upload, name="sources"),
    path("apps/<slug:name>/builds/", deploy.build_again, name="builds"),
    path("apps/<slug:name>/builds/of-ref/", deploy.build_ref, name="ref-builds"),
    path("apps/<slug:name>/builds/of-url/", deploy.build_url, name="url-builds"),
    path("apps/<slug:name>/builds/of-image/", deploy.build_image, name="image-builds"),
    path("apps/<slug:name>/builds/<uuid:build_id>/", builds.show, name="build"),
    path(
        "apps/<slug:name>/builds/<uuid:build_id>/cancellation/",
        builds.cancel,
        name="build-cancellation",
    ),
    path("apps/<slug:name>/releases/", releases.index, name="app-releases"),
    path("apps/<slug:name>/releases/compare/", releases.compare, name="releases-compare"),
    path("apps/<slug:name>/releases/<int:version>/", releases.show, name="release"),
    path("apps/<slug:name>/rollbacks/new/", releases.new_rollback, name="rollback-new"),
    path("apps/<slug:name>/rollbacks/", releases.rollback, name="rollbacks"),
]
