"""How many apps and dynos a team, or a person on their own, may have. Operators set it."""

from collections.abc import Iterable

from django.conf import settings
from django.db.models import Sum

from accounts.access import whom_to_ask
from accounts.models import Team, User
from apps.models import App, Dyno, Formation
from core.errors import Forbidden

ENDED = (Dyno.State.DOWN, Dyno.State.CRASHED)


def max_apps(owner: User | Team) -> int | None:
    """How many apps `owner` may have; None: as many as they like."""
    return owner.max_apps if isinstance(owner, Team) else settings.MAX_APPS or None


def max_dynos(owner: User | Team) -> int | None:
    """How many dynos the apps of `owner` may have together; None: as many as they like."""
    return owner.max_dynos if isinstance(owner, Team) else settings.MAX_DYNOS or None


def max_builds(owner: User | Team) -> int | None:
    """How many builds of `owner` may run at once; None: as many as the machine has room for."""
    return owner.max_builds if isinstance(owner, Team) else settings.MAX_BUILDS or None


def apps_of(owner: User | Team) -> int:
    """How many apps `owner` has."""
    return App.objects.alive().listed().filter(**_owned(owner)).count()


def dynos_of(owner: User | Team) -> int:
    """How many dynos the apps of `owner` are scaled to, and one-off dynos that have not ended, together."""
    apps = App.objects.alive().filter(**_owned(owner)).values("pk")
    scaled = Formation.objects.filter(app__in=apps).exclude(type="release")
    once = Dyno.objects.filter(app__in=apps, one_off=True).exclude(state__in=ENDED)
    return (scaled.aggregate(n=Sum("quantity"))["n"] or 0) + once.count()


def demand_apps(owner: User | Team, more: int = 1) -> None:
    """`Forbidden` when `owner` may not have `more` apps. Call it in the transaction that adds them."""
    limit = max_apps(owner)
    if limit is not None and more > 0:
        _lock(owner)
        _demand(owner, apps_of(owner), more, limit, "app")


def demand_dynos(owner: User | Team, more: int = 1) -> None:
    """`Forbidden` when the apps of `owner` may not have `more` dynos. Call it in the transaction that adds them."""
    limit = max_dynos(owner)
    if limit is not None and more > 0:
        _lock(owner)
        _demand(owner, dynos_of(owner), more, limit, "dyno")


def demand_room(apps: Iterable[App], *, owner: User | Team) -> None:
    """`Forbidden` when `owner`, who is given `apps` by others, would be beyond a limit with them."""
    new = [app for app in apps if app.owner != owner]
    scaled = Formation.objects.filter(app__in=new).exclude(type="release")
    demand_apps(owner, len(new))
    demand_dynos(owner, scaled.aggregate(n=Sum("quantity"))["n"] or 0)


def demand_builds(owner: User | Team) -> None:
    """`Forbidden` when `owner` may not build at all. Builds above a limit wait for their turn instead."""
    if max_builds(owner) == 0:
        raise Forbidden(f"{owner} may run no builds. {whom_to_ask()} to allow some.", id="limit_reached")


def room_for_dynos(owner: User | Team, wanted: int) -> int:
    """How many of `wanted` dynos more the apps of `owner` may have."""
    limit = max_dynos(owner)
    return wanted if limit is None or not wanted else max(0, min(wanted, limit - dynos_of(owner)))


def _demand(owner: User | Team, used: int, more: int, limit: int, what: str) -> None:
    if used + more > limit:
        things = what if limit == 1 else f"{what}s"
        raise Forbidden(
            f"{owner} may have {limit} {things} and has {used}; this would make {used + more}. "
            f"{whom_to_ask()} for more.",
            id="limit_reached",
        )


def _lock(owner: User | Team) -> None:
    """Have changes that count against one owner's limit take turns."""
    rows = Team.objects if isinstance(owner, Team) else User.objects
    rows.select_for_update().filter(pk=owner.pk).values_list("pk").first()


def _owned(owner: User | Team) -> dict[str, object]:
    return {"team" if isinstance(owner, Team) else "user": owner}
