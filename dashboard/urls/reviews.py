"""Review apps of a pipeline, and how they come and go."""

from django.urls import path

from dashboard.views import review_settings, reviews

PIPELINE = "pipelines/<slug:name>/"
ONE = PIPELINE + "review-apps/<uuid:review_id>/"

urlpatterns = [
    path(PIPELINE + "review-apps/new/", reviews.new, name="review-app-new"),
    path(PIPELINE + "review-apps/", reviews.create, name="review-apps"),
    path(ONE, reviews.show, name="review-app"),
    path(ONE + "card/", reviews.card, name="review-app-card"),
    path(ONE + "removal/", reviews.destroy, name="review-app-removal"),
    path(ONE + "retrial/", reviews.try_again, name="review-app-retrial"),
    path(ONE + "approval/", reviews.approve, name="review-app-approval"),
    path(PIPELINE + "settings/review-apps/", review_settings.settings, name="review-settings"),
    path(PIPELINE + "settings/review-apps/config/", review_settings.save_var, name="review-config-vars"),
    path(
        PIPELINE + "settings/review-apps/config/<str:key>/removal/",
        review_settings.remove_var,
        name="review-config-removal",
    ),
]
