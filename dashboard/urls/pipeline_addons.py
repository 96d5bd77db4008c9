"""Add-ons of a pipeline's own."""

from django.urls import path

from dashboard.views import pipeline_addons as views

urlpatterns = [
    path("pipelines/<slug:name>/resources/", views.resources, name="pipeline-resources"),
    path("pipelines/<slug:name>/catalog/<slug:service>/", views.new, name="pipeline-addon-new"),
    path("pipelines/<slug:name>/catalog/<slug:service>/orders/", views.order, name="pipeline-addon-orders"),
    path("pipelines/<slug:name>/addons/<slug:addon>/sharing/", views.sharing, name="pipeline-addon-sharing"),
    path(
        "pipelines/<slug:name>/addons/<slug:addon>/sharing/removal/",
        views.stop_sharing,
        name="pipeline-addon-sharing-removal",
    ),
    path(
        "pipelines/<slug:name>/addons/<slug:addon>/balancing/",
        views.balancing,
        name="pipeline-addon-balancing",
    ),
    path("pipelines/<slug:name>/addons/<slug:addon>/retries/", views.retry, name="pipeline-addon-retries"),
    path("pipelines/<slug:name>/addons/<slug:addon>/removal/", views.destroy, name="pipeline-addon-removal"),
]
