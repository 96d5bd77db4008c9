"""The one door to apps: pages, API, git, websockets and streams all come through here."""

from collections.abc import Sequence
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from accounts.access import (
    DEPLOY,
    MANAGE,
    OPERATE,
    RIGHTS,
    ROLE_RIGHTS,
    VIEW,
    demand,
    owned_by,
    rights_as_owner,
)
from accounts.models import Membership, User
from apps.models import App, AppQuerySet, Collaborator
from core.errors import NotFound

__all__ = [
    "DEPLOY",
    "MANAGE",
    "OPERATE",
    "RIGHTS",
    "VIEW",
    "app_for",
    "apps_for",
    "rights_at_hand",
    "rights_found",
    "rights_in",
    "with_rights",
]


def rights_in(user: User, app: App) -> frozenset[str]:
    """What `user` may do with `app`: rights of the owner, of their team role, and as a collaborator, together. In a
    locked app a role gives no more than to view, but for who manages it or had joined it before."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    rights = rights_as_owner(user, app)
    if MANAGE not in rights:
        own = Collaborator.objects.filter(app=app, user=user).values_list("rights", flat=True).first()
        rights = _together(app, rights, own)
    return rights


def _together(app: App, of_role: frozenset[str], shared: list[str] | None) -> frozenset[str]:
    """`shared` is what a collaborator's row says: nothing for who has joined, and None without a row."""
    if app.locked and MANAGE not in of_role and shared != []:
        of_role &= {VIEW}
    return of_role | frozenset(shared or ())


def app_for(user: User, ref: str, *, to: str = VIEW, along: Sequence[str] = ()) -> App:
    """The app with this name or UUID, for `user` to `to`; `along` are paths to what is fetched with it. Foreign and
    absent are the same `NotFound`."""
    if not user.is_authenticated:
        raise NotFound("Couldn't find that app.", resource="app")
    found = App.objects.alive().select_related("user", "team", *along).by_ref(str(ref))
    app: App | None = with_rights(found, user).first()
    if app is None:
        raise NotFound("Couldn't find that app.", resource="app")
    demand(rights_found(user, app, app), to, what="app", resource="app", name=app.name)
    return app


def rights_at_hand(user: User, app: App) -> frozenset[str]:
    """As `rights_in`, without asking again if `app` came through `app_for` for this very request."""
    return rights_found(user, app, app) if hasattr(app, "viewer_role") else rights_in(user, app)


def apps_for(user: User) -> AppQuerySet:
    """Every app that `user` may view, for lists: the apps of test runs are not among them."""
    shared = Collaborator.objects.filter(user=user).exclude(rights=[])
    mine = owned_by(user) | Q(pk__in=shared.values("app"))
    return App.objects.alive().listed().filter(pk__in=App.objects.filter(mine).values("pk"))


def with_rights(rows: QuerySet[Any], user: User, *, app: str = "") -> QuerySet[Any]:
    """Have `rows` bring along what `rights_found` needs, for lists: no query a row. `app` is the path to the app
    from a row, `app__` say; empty when the rows are apps."""
    role = Membership.objects.filter(team=OuterRef(f"{app}team"), user=user).values("role")[:1]
    shared = Collaborator.objects.filter(app=OuterRef(f"{app}pk"), user=user).values("rights")[:1]
    return rows.annotate(viewer_role=Subquery(role), viewer_shared=Subquery(shared))


def rights_found(user: User, app: App, row: Any) -> frozenset[str]:
    """What `rights_in` would say of `app`, from the `row` that `with_rights` annotated."""
    if not user.is_active:
        return frozenset()
    if app.user_id == user.pk:
        return frozenset(RIGHTS)
    of_role = ROLE_RIGHTS[Membership.Role(row.viewer_role)] if row.viewer_role else frozenset()
    return _together(app, of_role, row.viewer_shared)
