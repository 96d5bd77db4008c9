"""Who is told what: channels of a pipeline, and what a person is mailed."""

from django.urls import path

from dashboard.views import notifications

urlpatterns = [
    path("pipelines/<slug:name>/notifications/", notifications.of_pipeline, name="pipeline-notifications"),
    path("pipelines/<slug:name>/channels/", notifications.add_channel, name="channels"),
    path("pipelines/<slug:name>/channels/<uuid:channel_id>/", notifications.channel, name="channel"),
    path(
        "pipelines/<slug:name>/channels/<uuid:channel_id>/removal/",
        notifications.remove_channel,
        name="channel-removal",
    ),
    path(
        "pipelines/<slug:name>/channels/<uuid:channel_id>/tests/",
        notifications.test_channel,
        name="channel-tests",
    ),
    path("account/notifications/", notifications.of_account, name="account-notifications"),
    path("account/mails/", notifications.mails, name="account-mails"),
    path("account/mails/<slug:pipeline_name>/", notifications.of_one, name="preference"),
    path("account/mails/<slug:pipeline_name>/removal/", notifications.forget, name="preference-removal"),
]
