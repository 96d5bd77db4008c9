"""Where `bin/cli-bridge` brings the calls that the Heroku CLI makes to fixed hosts: `/_fixed/<host>/…`."""

from django.urls import path

from api.http import make_api
from api.resources import autoscaling
from api.resources.bridged import connections, errors, favorites, github, notifications

PREFIX = "/_fixed"

api = make_api()
api.urls_namespace = "fixed-hosts"
for part in (favorites, notifications, errors, connections, github):
    api.add_router("", part.router)
api.add_router("", autoscaling.fixed)

urlpatterns = [path(f"{PREFIX[1:]}/", api.urls)]
