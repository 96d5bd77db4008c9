"""What is used and what it costs."""

from django.urls import path

from dashboard.views import usage

urlpatterns = [
    path("teams/<slug:name>/usage/", usage.of_team, name="team-usage"),
    path("teams/<slug:name>/usage.csv", usage.team_csv, name="team-usage-csv"),
    path("pipelines/<slug:name>/usage/", usage.of_pipeline, name="pipeline-usage"),
    path("pipelines/<slug:name>/usage.csv", usage.pipeline_csv, name="pipeline-usage-csv"),
    path("apps/<slug:name>/usage/", usage.of_app, name="app-usage"),
    path("apps/<slug:name>/usage.csv", usage.app_csv, name="app-usage-csv"),
    path("account/usage/", usage.of_person, name="account-usage"),
    path("account/usage.csv", usage.account_csv, name="account-usage-csv"),
]
