"""Scheduled jobs of an app."""

from django.urls import path

from dashboard.views import schedule

urlpatterns = [
    path("apps/<slug:name>/schedule/", schedule.jobs, name="app-schedule"),
    path("apps/<slug:name>/schedule/<uuid:job_id>/", schedule.job, name="scheduled-job"),
    path("apps/<slug:name>/schedule/<uuid:job_id>/pause/", schedule.pause, name="scheduled-job-pause"),
    path(
        "apps/<slug:name>/schedule/<uuid:job_id>/resumption/",
        schedule.resume,
        name="scheduled-job-resumption",
    ),
    path("apps/<slug:name>/schedule/<uuid:job_id>/runs/", schedule.run, name="scheduled-job-runs"),
    path("apps/<slug:name>/schedule/<uuid:job_id>/removal/", schedule.remove, name="scheduled-job-removal"),
]
