"""The Platform API: one router per resource."""

from django.urls import path

from api.http import make_api
from api.resources import account, apps, builds, catalog, config_vars, formation, logs, pipelines, releases

api = make_api()
# Fixed paths such as /teams/apps come before those with a name in the same place.
for module in (account, pipelines, apps, config_vars, releases, builds, formation, logs, catalog):
    api.add_router("", module.router)

urlpatterns = [path("", api.urls)]
