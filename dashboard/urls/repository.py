"""Where a pipeline's code is: the connected repository, the hooks that came for it, automatic deploys."""

from django.urls import path

from dashboard.views import auto_deploys, repository

urlpatterns = [
    path("pipelines/<slug:name>/repository/", repository.repository, name="repository"),
    path("pipelines/<slug:name>/repository/settings/", repository.change, name="repository-settings"),
    path("pipelines/<slug:name>/repository/removal/", repository.disconnect, name="repository-removal"),
    path("pipelines/<slug:name>/repository/secret/", repository.renew_secret, name="repository-secret"),
    path(
        "pipelines/<slug:name>/repository/secret/removal/",
        repository.turn_hooks_off,
        name="repository-secret-removal",
    ),
    path("pipelines/<slug:name>/repository/hook/", repository.make_hook, name="repository-hook"),
    path("pipelines/<slug:name>/repository/receipts/", repository.receipts, name="repository-receipts"),
    path("apps/<slug:name>/auto-deploy/", auto_deploys.switch_on, name="auto-deploy"),
    path("apps/<slug:name>/auto-deploy/removal/", auto_deploys.switch_off, name="auto-deploy-removal"),
    path("apps/<slug:name>/builds/of-branch/", auto_deploys.deploy_now, name="branch-builds"),
]
