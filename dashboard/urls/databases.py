"""Databases and key-value stores of an app."""

from django.urls import path

from dashboard.views import databases

HERE = "apps/<slug:name>/addons/<slug:addon>/data/"

urlpatterns = [
    path(HERE, databases.show, name="database"),
    path(f"{HERE}backups/", databases.capture, name="database-backups"),
    path(f"{HERE}backups/<uuid:move_id>/removal/", databases.delete, name="database-backup-removal"),
    path(
        f"{HERE}backups/<uuid:move_id>/cancellation/", databases.cancel, name="database-backup-cancellation"
    ),
    path(f"{HERE}backups/<uuid:move_id>/links/", databases.link, name="database-backup-links"),
    path(f"{HERE}backups/<uuid:move_id>/restores/", databases.restore, name="database-restores"),
    path(f"{HERE}copies/", databases.copy, name="database-copies"),
    path(f"{HERE}schedule/", databases.schedule, name="database-schedule"),
    path(f"{HERE}schedule/removal/", databases.unschedule, name="database-schedule-removal"),
    path(f"{HERE}passwords/", databases.rotate, name="database-passwords"),
    path(f"{HERE}sessions/<int:pid>/end/", databases.end_session, name="database-session-end"),
    path(f"{HERE}settings/", databases.configure, name="store-settings"),
]
