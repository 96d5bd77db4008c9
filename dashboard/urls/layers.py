"""Config vars that all apps of a pipeline inherit."""

from django.urls import path

from dashboard.views import pipeline_config

urlpatterns = [
    path("pipelines/<slug:name>/config/", pipeline_config.config, name="pipeline-config"),
    path("pipelines/<slug:name>/config-vars/", pipeline_config.save_var, name="pipeline-config-vars"),
    path(
        "pipelines/<slug:name>/config-vars/<str:key>/value/",
        pipeline_config.reveal_var,
        name="pipeline-config-value",
    ),
    path(
        "pipelines/<slug:name>/config-vars/<str:key>/removal/",
        pipeline_config.remove_var,
        name="pipeline-config-removal",
    ),
]
