"""What hosts of repositories ask for."""

from django.urls import path

from forge.views import hooks

urlpatterns = [path("hooks/<uuid:repository_id>/", hooks, name="repository-hooks")]
