"""A pipeline as code: its slipway.yml, what such a file would change, and what the repository asks for."""

from django.urls import path

from dashboard.views import blueprints

PIPELINE = "pipelines/<slug:name>/"

urlpatterns = [
    path(PIPELINE + "as-code/", blueprints.index, name="as-code"),
    path(PIPELINE + "as-code/file/", blueprints.file, name="as-code-file"),
    path(PIPELINE + "slipway.yml", blueprints.download, name="slipway-yml"),
    path(PIPELINE + "as-code/plans/", blueprints.plan, name="plans"),
    path(PIPELINE + "as-code/changes/", blueprints.apply, name="plan-changes"),
    path(PIPELINE + "as-code/following/", blueprints.follow, name="following"),
    path(PIPELINE + "as-code/proposals/<uuid:proposal_id>/", blueprints.proposal, name="proposal"),
    path(
        PIPELINE + "as-code/proposals/<uuid:proposal_id>/acceptance/",
        blueprints.accept,
        name="proposal-acceptance",
    ),
    path(
        PIPELINE + "as-code/proposals/<uuid:proposal_id>/refusal/",
        blueprints.decline,
        name="proposal-refusal",
    ),
]
