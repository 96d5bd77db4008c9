"""What can be switched on for an app, under Heroku's names."""

from django.db import transaction

from accounts.models import User
from apps.models import App
from core import activity
from core.errors import NotFound, Refusal

METADATA = "runtime-dyno-metadata"
PREBOOT = "preboot"
FEATURES = {
    METADATA: "Dynos find HEROKU_APP_NAME, HEROKU_RELEASE_VERSION, HEROKU_SLUG_COMMIT and the like from the next start",
    PREBOOT: "New dynos answer before old ones stop; always so",
}
ALWAYS = {PREBOOT}


def is_on(app: App, name: str) -> bool:
    """Whether a feature is on for `app`."""
    return name in ALWAYS or name in app.features


@transaction.atomic
def switch(app: App, name: str, on: bool, *, by: User) -> None:
    """Turn a feature on or off; `NotFound` for one that there is not."""
    if name not in FEATURES:
        raise NotFound("Couldn't find that app feature.", resource="app_feature")
    if name in ALWAYS:
        if not on:
            raise Refusal(f"{name} can't be turned off: {FEATURES[name][0].lower()}{FEATURES[name][1:]}.")
        return
    # What others switch at the same moment must not be lost.
    app.features = App.objects.select_for_update().values_list("features", flat=True).get(pk=app.pk)
    if on == (name in app.features):
        return
    app.features = sorted({*app.features, name} if on else set(app.features) - {name})
    App.objects.filter(pk=app.pk).update(features=app.features)
    activity.record(by, "turned on" if on else "turned off", app, feature=name)
