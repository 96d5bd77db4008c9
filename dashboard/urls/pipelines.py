"""Pipelines: the list, settings, activity; what is handed from one person to another."""

from django.urls import path

from dashboard.views import pipeline_activity, pipeline_settings, pipelines, transfers

urlpatterns = [
    path("", pipelines.index, name="pipelines"),
    path("transfers/", transfers.index, name="transfers"),
    path("transfers/<uuid:transfer_id>/acceptance/", transfers.accept, name="transfer-acceptance"),
    path("transfers/<uuid:transfer_id>/refusal/", transfers.decline, name="transfer-refusal"),
    path("transfers/<uuid:transfer_id>/withdrawal/", transfers.withdraw, name="transfer-withdrawal"),
    path("pipelines/new/", pipelines.new, name="pipeline-new"),
    path("pipelines/<slug:name>/activity/", pipeline_activity.activity, name="pipeline-activity"),
    path("pipelines/<slug:name>/activity.csv", pipeline_activity.export, name="pipeline-activity-csv"),
    path("pipelines/<slug:name>/settings/", pipeline_settings.settings, name="pipeline-settings"),
    path("pipelines/<slug:name>/name/", pipeline_settings.rename, name="pipeline-name"),
    path("pipelines/<slug:name>/owner/", pipeline_settings.transfer, name="pipeline-owner"),
    path("pipelines/<slug:name>/removal/", pipeline_settings.destroy, name="pipeline-removal"),
    path("pipelines/<slug:name>/stage-order/", pipeline_settings.order_stages, name="stage-order"),
    path("pipelines/<slug:name>/stages/", pipeline_settings.add_stage, name="stages"),
    path(
        "pipelines/<slug:name>/stages/<slug:stage_name>/",
        pipeline_settings.stage,
        name="stage",
    ),
    path(
        "pipelines/<slug:name>/stages/<slug:stage_name>/place/",
        pipeline_settings.move_stage,
        name="stage-place",
    ),
    path(
        "pipelines/<slug:name>/stages/<slug:stage_name>/removal/",
        pipeline_settings.remove_stage,
        name="stage-removal",
    ),
    path(
        "pipelines/<slug:name>/stages/<slug:stage_name>/config/",
        pipeline_settings.save_var,
        name="stage-config-vars",
    ),
    path(
        "pipelines/<slug:name>/stages/<slug:stage_name>/config/<str:key>/value/",
        pipeline_settings.reveal_var,
        name="stage-config-value",
    ),
    path(
        "pipelines/<slug:name>/stages/<slug:stage_name>/config/<str:key>/removal/",
        pipeline_settings.remove_var,
        name="stage-config-removal",
    ),
]
