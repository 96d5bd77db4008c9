"""Log archives: which app has one, and the searches that are saved in it."""

import logging
from collections.abc import Sequence

from django.db import transaction

from accounts.models import User
from addons.archive_models import SavedSearch
from addons.models import Addon
from addons.providers import papertrail
from apps.models import App
from core import activity
from core.errors import EngineError, Refusal

log = logging.getLogger(__name__)

SERVICE = "papertrail"
MOST = 50  # saved searches of an archive
NAME = 60  # characters of a search's name


def archive_of(app: App) -> Addon | None:
    """The add-on that keeps the app's log for longer; None when it has none, or one that could not be made."""
    rows = Addon.objects.there().whole().filter(app=app, plan__service__name=SERVICE)
    return rows.exclude(state=Addon.State.FAILED).first()


@transaction.atomic
def save_search(
    addon: Addon,
    name: str,
    *,
    text: str = "",
    sources: Sequence[str] = (),
    dyno: str = "",
    level: str = "",
    seconds: int = 0,
    by: User,
) -> SavedSearch:
    """Keep a search of the archive by a name. `Refusal` when the name is taken or there are too many."""
    Addon.objects.select_for_update().get(pk=addon.pk)
    name = " ".join(name.split())
    if not name or len(name) > NAME:
        wrong = f"Give it a name, of {NAME} characters at most."
        raise Refusal(wrong, fields={"name": wrong})
    if addon.searches.filter(name=name).exists():
        wrong = f"There is a search called {name} already: choose another name."
        raise Refusal(wrong, fields={"name": wrong})
    if addon.searches.count() >= MOST:
        raise Refusal(f"{MOST} searches are saved, which is the most. Remove one first.")
    made = SavedSearch.objects.create(
        addon=addon,
        name=name,
        text=text,
        sources=list(sources),
        dyno=dyno,
        level=level,
        seconds=seconds,
        by=by,
    )
    activity.record(by, "saved the search", made, app=addon.app, what=text)
    return made


@transaction.atomic
def forget_search(search: SavedSearch, *, by: User) -> None:
    """Remove a saved search. No line goes with it."""
    activity.record(by, "removed the search", search, app=search.addon.app)
    search.delete()


def tell_all() -> None:
    """Have the log store keep what every archive's plan says, whatever has become of its files or of the plan."""
    at_rest = Addon.objects.filter(plan__service__name=SERVICE, state=Addon.State.PROVISIONED)
    for addon in at_rest.select_related("plan", "app"):
        if addon.app is not None:
            try:
                papertrail.tell(addon.app.log_stream, papertrail.rule(addon.plan.limits))
            except EngineError as error:
                log.error("%s: %s", addon.name, error)
