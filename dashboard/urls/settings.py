"""An app: config vars, logs, activity, access, settings."""

from django.urls import path

from dashboard.views import (
    alerts,
    app_access,
    app_activity,
    app_settings,
    certificates,
    config,
    logs,
    metrics,
    outlets,
)

urlpatterns = [
    path("apps/<slug:name>/config/", config.config, name="app-config"),
    path("apps/<slug:name>/config/vars/", config.save, name="config-vars"),
    path("apps/<slug:name>/config/vars/<str:key>/value/", config.reveal, name="config-value"),
    path("apps/<slug:name>/config/vars/<str:key>/edit/", config.edit, name="config-edit"),
    path("apps/<slug:name>/config/vars/<str:key>/removal/", config.unset, name="config-removal"),
    path(
        "apps/<slug:name>/config/vars/<str:key>/write-only/",
        config.make_write_only,
        name="config-write-only",
    ),
    path("apps/<slug:name>/config/file/", config.file, name="config-file"),
    path("apps/<slug:name>/config/file/values/", config.open_file, name="config-values"),
    path("apps/<slug:name>/config/file/preview/", config.preview, name="config-preview"),
    path("apps/<slug:name>/config/file/save/", config.save_file, name="config-file-save"),
    path("apps/<slug:name>/metrics/", metrics.show, name="app-metrics"),
    path("apps/<slug:name>/alerts/", alerts.index, name="app-alerts"),
    path("apps/<slug:name>/alerts/<uuid:alert_id>/removal/", alerts.remove, name="alert-removal"),
    path("apps/<slug:name>/logs/", logs.logs, name="app-logs"),
    path("apps/<slug:name>/logs/histogram/", logs.histogram, name="app-logs-histogram"),
    path("apps/<slug:name>/logs/text/", logs.text, name="app-logs-text"),
    path("apps/<slug:name>/activity/", app_activity.activity, name="app-activity"),
    path("apps/<slug:name>/access/", app_access.access, name="app-access"),
    path("apps/<slug:name>/lock/", app_access.lock, name="app-lock"),
    path("apps/<slug:name>/lock/removal/", app_access.unlock, name="app-lock-removal"),
    path("apps/<slug:name>/collaborators/", app_access.share, name="collaborators"),
    path(
        "apps/<slug:name>/collaborators/<uuid:collaborator_id>/rights/",
        app_access.change,
        name="collaborator-rights",
    ),
    path(
        "apps/<slug:name>/collaborators/<uuid:collaborator_id>/removal/",
        app_access.unshare,
        name="collaborator-removal",
    ),
    path("apps/<slug:name>/settings/", app_settings.settings, name="app-settings"),
    path("apps/<slug:name>/name/", app_settings.rename, name="app-name"),
    path("apps/<slug:name>/stack/", app_settings.choose_stack, name="app-stack"),
    path("apps/<slug:name>/buildpacks/", app_settings.add_buildpack, name="app-buildpacks"),
    path(
        "apps/<slug:name>/buildpacks/<int:place>/place/",
        app_settings.move_buildpack,
        name="buildpack-place",
    ),
    path(
        "apps/<slug:name>/buildpacks/<int:place>/removal/",
        app_settings.remove_buildpack,
        name="buildpack-removal",
    ),
    path("apps/<slug:name>/build-command/", app_settings.build_command, name="app-build-command"),
    path("apps/<slug:name>/health/", app_settings.health, name="app-health"),
    path("apps/<slug:name>/maintenance/", app_settings.maintenance, name="app-maintenance"),
    path("apps/<slug:name>/sleep/", app_settings.sleeping, name="app-sleep"),
    path("apps/<slug:name>/wake/", app_settings.wake, name="app-wake"),
    path("apps/<slug:name>/domains/", app_settings.add_domain, name="domains"),
    path(
        "apps/<slug:name>/domains/<uuid:domain_id>/removal/",
        app_settings.remove_domain,
        name="domain-removal",
    ),
    path(
        "apps/<slug:name>/domains/<uuid:domain_id>/certificate/",
        certificates.choose,
        name="domain-certificate",
    ),
    path("apps/<slug:name>/certificates/automatic/", certificates.automatic, name="automatic-certificates"),
    path(
        "apps/<slug:name>/certificates/automatic/removal/",
        certificates.not_automatic,
        name="automatic-certificates-removal",
    ),
    path(
        "apps/<slug:name>/certificates/automatic/refreshes/",
        certificates.again,
        name="automatic-certificates-refresh",
    ),
    path("apps/<slug:name>/certificates/new/", certificates.new, name="certificate-new"),
    path(
        "apps/<slug:name>/certificates/<uuid:certificate_id>/", certificates.certificate, name="certificate"
    ),
    path(
        "apps/<slug:name>/certificates/<uuid:certificate_id>/removal/",
        certificates.remove,
        name="certificate-removal",
    ),
    path("apps/<slug:name>/outlets/", outlets.show, name="outlets"),
    path("apps/<slug:name>/drains/", outlets.add_drain, name="drains"),
    path("apps/<slug:name>/drains/<uuid:drain_id>/removal/", outlets.remove_drain, name="drain-removal"),
    path("apps/<slug:name>/webhooks/", outlets.add_webhook, name="webhooks"),
    path(
        "apps/<slug:name>/webhooks/<uuid:webhook_id>/removal/",
        outlets.remove_webhook,
        name="webhook-removal",
    ),
    path("apps/<slug:name>/owner/", app_settings.transfer, name="app-owner"),
    path("apps/<slug:name>/removal/", app_settings.destroy, name="app-removal"),
]
