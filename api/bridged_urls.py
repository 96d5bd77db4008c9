"""Where `bin/cli-bridge` brings the calls that the Heroku CLI makes to fixed hosts: `/_fixed/<host>/…`."""

from django.urls import path

from api.http import make_api
from api.resources import autoscaling, bridged

PREFIX = "/_fixed"

api = make_api()
api.urls_namespace = "fixed-hosts"
api.add_router("", bridged.router)
api.add_router("", autoscaling.fixed)

urlpatterns = [path(f"{PREFIX[1:]}/", api.urls)]
