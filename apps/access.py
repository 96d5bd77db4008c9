"""The one door to apps: pages, API, git, websockets and streams all come through here."""

from django.db.models import Q

from accounts.access import DEPLOY, MANAGE, OPERATE, RIGHTS, VIEW, demand, owned_by, rights_as_owner
from accounts.models import User
from apps.models import App, AppQuerySet, Collaborator
from core.errors import NotFound

__all__ = ["DEPLOY", "MANAGE", "OPERATE", "RIGHTS", "VIEW", "app_for", "apps_for", "rights_in"]


def rights_in(user: User, app: App) -> frozenset[str]:
    """What `user` may do with `app`: rights of the owner, of their team role, and as a collaborator, together."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    rights = rights_as_owner(user, app)
    if rights != frozenset(RIGHTS):
        own = Collaborator.objects.filter(app=app, user=user).values_list("rights", flat=True).first()
        rights |= frozenset(own or ())
    return rights


def app_for(user: User, ref: str, *, to: str = VIEW) -> App:
    """The app with this name or UUID, for `user` to `to`. Foreign and absent are the same `NotFound`."""
    app = App.objects.alive().select_related("user", "team").by_ref(str(ref)).first()
    if app is None or not user.is_authenticated:
        raise NotFound("Couldn't find that app.", resource="app")
    demand(rights_in(user, app), to, what="app", resource="app", name=app.name)
    return app


def apps_for(user: User) -> AppQuerySet:
    """Every app that `user` may view."""
    mine = owned_by(user) | Q(collaborators__user=user)
    return App.objects.alive().filter(pk__in=App.objects.filter(mine).values("pk"))
