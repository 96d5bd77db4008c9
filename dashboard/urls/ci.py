"""Test runs of a pipeline, and when they run."""

from django.urls import path

from dashboard.views import ci, ci_settings

urlpatterns = [
    path("pipelines/<slug:name>/tests/", ci.index, name="tests"),
    path("pipelines/<slug:name>/tests/new/", ci.new, name="test-run-new"),
    path("pipelines/<slug:name>/tests/<int:number>/", ci.show, name="test-run"),
    path("pipelines/<slug:name>/tests/<int:number>/reruns/", ci.rerun, name="test-run-reruns"),
    path(
        "pipelines/<slug:name>/tests/<int:number>/reruns-of-failed/",
        ci.rerun_failed,
        name="test-run-reruns-of-failed",
    ),
    path("pipelines/<slug:name>/tests/<int:number>/cancellation/", ci.cancel, name="test-run-cancellation"),
    path("pipelines/<slug:name>/settings/tests/", ci_settings.settings, name="test-settings"),
    path("pipelines/<slug:name>/settings/tests/config/", ci_settings.save_var, name="test-config-vars"),
    path(
        "pipelines/<slug:name>/settings/tests/config/<str:key>/value/",
        ci_settings.reveal_var,
        name="test-config-value",
    ),
    path(
        "pipelines/<slug:name>/settings/tests/config/<str:key>/removal/",
        ci_settings.remove_var,
        name="test-config-removal",
    ),
]
