"""The pages. A new button is a new noun to POST to, never a flag on an old address."""

from dashboard.urls import (
    addons,
    board,
    code,
    databases,
    door,
    everywhere,
    layers,
    notifications,
    people,
    pipeline_addons,
    pipelines,
    programs,
    repository,
    schedule,
    settings,
    usage,
)

urlpatterns = [
    *door.urlpatterns,
    *programs.urlpatterns,
    *everywhere.urlpatterns,
    *pipelines.urlpatterns,
    *layers.urlpatterns,
    *board.urlpatterns,
    *code.urlpatterns,
    *repository.urlpatterns,
    *addons.urlpatterns,
    *pipeline_addons.urlpatterns,
    *databases.urlpatterns,
    *settings.urlpatterns,
    *people.urlpatterns,
    *notifications.urlpatterns,
    *usage.urlpatterns,
    *schedule.urlpatterns,
]
