"""Add-ons of an app."""

from django.urls import path

from dashboard.views import addon_sign_in, addons, maintenances

urlpatterns = [
    path("addons/<slug:addon>/", addons.home, name="addon-home"),
    path("addons/<slug:addon>/sign-in/", addon_sign_in.sign_in, name="addon-sign-in"),
    path("apps/<slug:name>/catalog/<slug:service>/", addons.new, name="addon-new"),
    path("apps/<slug:name>/catalog/<slug:service>/orders/", addons.order, name="addon-orders"),
    path("apps/<slug:name>/attachments/", addons.share, name="attachments"),
    path(
        "apps/<slug:name>/attachments/<uuid:attachment_id>/removal/",
        addons.detach,
        name="attachment-removal",
    ),
    path(
        "apps/<slug:name>/attachments/<uuid:attachment_id>/promotion/",
        addons.promote,
        name="attachment-promotion",
    ),
    path("apps/<slug:name>/addons/<slug:addon>/", addons.show, name="addon"),
    path("apps/<slug:name>/addons/<slug:addon>/plan/", addons.plan, name="addon-plan"),
    path("apps/<slug:name>/addons/<slug:addon>/name/", addons.rename, name="addon-name"),
    path("apps/<slug:name>/addons/<slug:addon>/retries/", addons.retry, name="addon-retries"),
    path("apps/<slug:name>/addons/<slug:addon>/window/", maintenances.window, name="addon-window"),
    path("apps/<slug:name>/addons/<slug:addon>/restarts/", maintenances.run, name="addon-restarts"),
    path("apps/<slug:name>/addons/<slug:addon>/removal/", addons.destroy, name="addon-removal"),
]
