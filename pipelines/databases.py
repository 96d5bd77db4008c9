"""Who may do what with databases and their backups. A database's content is as secret as the config var that leads to
it: whoever may not see an app's config in its stage gets neither."""

import re
from uuid import UUID

from accounts.models import User
from addons import access, databases
from addons.models import Addon, Transfer
from addons.transfers import POSTGRESQL, REDIS
from apps import access as app_access
from apps.models import App
from core.errors import NotFound, Refusal
from core.names import as_id
from pipelines.access import demand_config, may_see_config

__all__ = [
    "POSTGRESQL",
    "REDIS",
    "backup_called",
    "database_at",
    "database_for",
    "demand_entry",
    "transfer_for",
    "transfers_of",
]
DEPLOY, OPERATE, VIEW = access.DEPLOY, access.OPERATE, access.VIEW
_DATABASE = re.compile(r"/d([0-9a-f]{32})(?:\?|$)")
_BACKUP = re.compile(r"/database-backups/([0-9a-f-]{36})(?:/|$)")


def database_for(user: User, ref: str, *, service: str = POSTGRESQL, to: str = DEPLOY) -> Addon:
    """The database with this name or id, for `user` to `to`."""
    return _entered(user, access.addon_for(user, ref, to=to), service, to)


def demand_entry(user: User, addon: Addon, *, service: str = POSTGRESQL, to: str = DEPLOY) -> Addon:
    """The database, for `user` to `to`; `Refusal` when it is none of that service."""
    return _entered(user, access.demand_right(user, addon, to), service, to)


def _entered(user: User, addon: Addon, service: str, to: str) -> Addon:
    databases.demand(addon, service)
    if to != VIEW and addon.app is not None:
        demand_config(user, addon.app)
    return addon


def may_enter(user: User, addon: Addon) -> bool:
    """Whether `user` may know what apps get in with."""
    if addon.app is not None:
        return may_see_config(user, addon.app)
    return DEPLOY in access.rights_in(user, addon)


def database_at(user: User, url: str, *, to: str = DEPLOY) -> Addon:
    """The database that a config var's value leads to."""
    found = _DATABASE.search(url)
    if found is None:
        raise Refusal(
            "That is no database of Slipway's. Copy from elsewhere with pg_dump and pg_restore, by heroku pg:push."
        )
    return database_for(user, str(UUID(found[1])), to=to)


def app_for(user: User, ref: str, *, to: str = VIEW) -> App:
    """The app whose transfers are asked about."""
    app = app_access.app_for(user, ref, to=to)
    if to != VIEW:
        demand_config(user, app)
    return app


def transfers_of(app: App) -> list[Transfer]:
    """The app's backups, restores and copies, the newest first."""
    return list(Transfer.objects.filter(app=app).listed().whole().select_related("source__plan")[:200])


def transfer_for(user: User, app_ref: str, ref: str, *, to: str = VIEW) -> Transfer:
    """One of them, by number or id."""
    rows = Transfer.objects.filter(app=app_for(user, app_ref, to=to)).listed().whole()
    found = rows.filter(number=int(ref)).first() if ref.isdecimal() and len(ref) < 10 else None
    if found is None and (id := as_id(ref)):
        found = rows.filter(pk=id).first()
    if found is None:
        raise NotFound(f"Couldn't find that backup: {ref[:40]}.", resource="transfer")
    return found


def backup_called(user: User, url: str) -> Transfer:
    """The backup at one of our addresses, for `user` to read."""
    found = _BACKUP.search(url)
    id = as_id(found[1]) if found else None
    row = Transfer.objects.filter(pk=id).select_related("app").first() if id else None
    if row is None:
        raise Refusal(
            "Slipway restores its own backups. Bring others in with pg_restore and the address in the app's config vars."
        )
    return transfer_for(user, str(row.app_id), str(row.pk), to=DEPLOY)
