"""Setups of apps: making one what its app.json says, asked for by an API client, or by a review app."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import transaction

from accounts.models import User
from apps import actions as app_actions
from apps.models import App
from core import activity, live, names
from core.errors import NotFound
from releases.models import Source
from reviews.models import AppSetup


@transaction.atomic
def create(
    app: App,
    source: Source,
    *,
    env: Mapping[str, str] | None = None,
    buildpacks: Sequence[str] = (),
    by: User | None,
) -> AppSetup:
    """Ask for `app`, which has no code yet, to be set up as the app.json of `source` says. `env` and `buildpacks` count
    instead of what it says."""
    for key in env or {}:
        names.check_config_key(key)
    app_actions.check_buildpacks(buildpacks)
    setup = AppSetup(app=app, source=source, buildpacks=list(buildpacks), by=by)
    setup.env = dict(env or {})
    setup.save(force_insert=True)
    activity.record(by, "asked for", setup, app=app)
    live.tell(app.topic)
    live.wake_conductor()
    return setup


def setup_for(user: User, pk: UUID) -> AppSetup:
    """The setup that `user` asked for, by its id."""
    found = (
        AppSetup.objects.filter(pk=pk, by=user)
        .select_related("app", "build__source", "build__release")
        .first()
    )
    if found is None:
        raise NotFound("Couldn't find that app setup.", resource="app_setup")
    return found
