"""How a backup, restore or copy of a database begins: as a row, which the conductor works on."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from addons.models import Addon, Attachment
from addons.transfer_models import Transfer
from apps.models import App
from core import live
from core.errors import Conflict, Refusal

POSTGRESQL, REDIS = "heroku-postgresql", "heroku-redis"
OPEN_AT_ONCE = 5  # of one app that wait or run


def begin(app: App, kind: str, *, bounded: bool = True, **fields: object) -> Transfer:
    """A row for the conductor, with the app's next number. `Conflict` when too many are under way, if `bounded`. Call
    it in a transaction."""
    App.objects.select_for_update().get(pk=app.pk)
    of_app = Transfer.objects.filter(app=app)
    if bounded and of_app.open().count() >= OPEN_AT_ONCE:
        raise Conflict(
            f"{OPEN_AT_ONCE} backups, restores or copies of {app.name} are under way: wait for one to end."
        )
    number = (of_app.aggregate(most=Max("number"))["most"] or 0) + 1
    made = Transfer.objects.create(app=app, number=number, kind=kind, **fields)
    live.tell(app.topic)
    live.wake_conductor()
    return made


def billed_to(addon: Addon) -> App:
    """The app whose backups a database's are counted among: its owner, or the first it is attached to."""
    if addon.app is not None:
        return addon.app
    used = Attachment.objects.filter(addon=addon).select_related("app").order_by("created_at").first()
    if used is None:
        raise Refusal(f"{addon.name} is attached to no app yet.")
    return used.app


def last_backup(addon: Addon, *, by: User | None) -> Transfer | None:
    """Have a backup made of a database that is about to be removed, to be kept for a while. None where operators want
    none, or there is nothing to back up. Call it in the transaction that asks for the removal."""
    days = settings.KEEP_LAST_BACKUP_DAYS
    if addon.service.name != POSTGRESQL or days <= 0 or not addon.sealed_config:
        return None
    try:
        app = billed_to(addon)
    except Refusal:
        return None
    return begin(
        app, Transfer.Kind.BACKUP, source=addon, from_name=addon.name, to_name="BACKUP", by=by, last=True,
        expires_at=timezone.now() + timedelta(days=days), bounded=False,
    )  # fmt: skip
