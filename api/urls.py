"""The Platform API: one router per resource."""

from django.urls import path

from api.http import make_api
from api.resources import (
    account,
    addon_attachments,
    addon_catalog,
    addons,
    apps,
    authorizations,
    autoscaling,
    backups,
    builds,
    catalog,
    certificates,
    config_vars,
    databases,
    drains,
    features,
    formation,
    logs,
    maintenances,
    pipelines,
    programs,
    releases,
    repositories,
    reviews,
    stage_vars,
    stores,
    teams,
    test_runs,
    transfers,
    webhooks,
)

api = make_api()
# Fixed paths such as /teams/apps come before those with a name in the same place.
ORDER = (
    account, authorizations, programs, test_runs, pipelines, apps, certificates, teams, transfers, features, config_vars,
    stage_vars, releases, builds, formation, autoscaling, addon_catalog, addon_attachments, addons, logs, drains, webhooks, catalog,
    databases, backups, stores, maintenances, repositories, reviews,
)  # fmt: skip
for module in ORDER:
    api.add_router("", module.router)

urlpatterns = [path("", api.urls)]
