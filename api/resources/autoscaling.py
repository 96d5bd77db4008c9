"""Autoscaling of web dynos: as ours, and as the CLI asks for it of a fixed host, where it is a monitor of the app."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status

from accounts.models import User
from api.asker import asker
from api.shapes.base import Time
from apps import access, autoscale
from apps.autoscale import USUAL_P95, Rule
from apps.models import App, Autoscale
from apps.scaling import WEB
from core.errors import NotFound, Refusal

MONITORS = "api.metrics.heroku.com"
SCALE = "scale"  # the one kind of monitor that there is here
MAILED = "app"  # the channel that stands for mail to who looks after the app

router = Router(tags=["Dynos"])
fixed = Router(tags=["Fixed hosts"])


# --- ours -------------------------------------------------------------------------------------------------------------


class AutoscaleOut(Schema):
    """Between which numbers of web dynos the platform chooses, and what it last did. `p95` is in milliseconds."""

    enabled: bool = False
    min: int | None = None
    max: int | None = None
    p95: int | None = None
    notify: bool = False
    changed_at: Time | None = None
    reason: str = ""

    @classmethod
    def of(cls, row: Autoscale | None) -> "AutoscaleOut":
        if row is None:
            return cls()
        return cls(
            enabled=row.enabled, min=row.minimum, max=row.maximum, p95=row.p95, notify=row.notify,
            changed_at=row.changed_at, reason=row.reason,
        )  # fmt: skip


class AutoscaleIn(Schema):
    """What to change; what is absent stays."""

    enabled: bool | None = None
    min: int | None = None
    max: int | None = None
    p95: int | None = None
    notify: bool | None = None


@router.get("/apps/{app}/autoscale", response=AutoscaleOut)
def info(request: HttpRequest, app: str) -> AutoscaleOut:
    """Between which bounds the platform scales the app's web dynos, and why it last did."""
    return AutoscaleOut.of(autoscale.of(access.app_for(asker(request), app)))


@router.patch("/apps/{app}/autoscale", response=AutoscaleOut)
def change(request: HttpRequest, app: str, body: AutoscaleIn) -> AutoscaleOut:
    """Have the platform scale the app's web dynos, by how long visitors wait; or no more."""
    found = access.app_for(asker(request), app, to=access.OPERATE)
    asked = (body.min, body.max, body.p95)
    return AutoscaleOut.of(_set(found, body.enabled, asked, notify=body.notify, by=asker(request)))


def _set(
    app: App,
    on: bool | None,
    asked: tuple[int | None, int | None, int | None],
    *,
    notify: bool | None,
    by: User,
) -> Autoscale | None:
    """`asked` are minimum, maximum and p95; what is None stays as it is."""
    row = autoscale.of(app)
    if not (on if on is not None else row is not None and row.enabled):
        if on is None and any(value is not None for value in (*asked, notify)):
            raise Refusal(
                f"Autoscaling of {app.name} is off: ask for it to be enabled along with its bounds."
            )
        autoscale.disable(app, by=by)
        return autoscale.of(app)
    known = (row.minimum, row.maximum, row.p95) if row else (None, None, USUAL_P95)
    low, high, p95 = (new if new is not None else old for new, old in zip(asked, known, strict=True))
    if low is None or high is None or p95 is None:
        raise Refusal(f"Say how many web dynos {app.name} has at least, and how many at most.")
    mailed = notify if notify is not None else row is not None and row.notify
    return autoscale.enable(app, Rule(low, high, p95), notify=mailed, by=by)


# --- a fixed host's ---------------------------------------------------------------------------------------------------


class MonitorIn(Schema):
    """What to change of a monitor; what is absent stays. `value` is the p95 to aim for, in milliseconds."""

    action_type: str | None = None
    is_active: bool | None = None
    min_quantity: int | None = None
    max_quantity: int | None = None
    value: int | None = None
    notification_channels: list[str] | None = None

    @property
    def notify(self) -> bool | None:
        """Whether to mail."""
        channels = self.notification_channels
        return None if channels is None else bool(channels)

    @property
    def bounds(self) -> tuple[int | None, int | None, int | None]:
        """Minimum, maximum and p95."""
        return self.min_quantity, self.max_quantity, self.value


class MonitorOut(Schema):
    """Autoscaling, as a monitor."""

    id: UUID
    app_id: UUID
    process_type: str = WEB
    name: str = "LATENCY_SCALE"
    action_type: str = SCALE
    is_active: bool
    min_quantity: int
    max_quantity: int
    value: int
    op: str = "GREATER_OR_EQUAL"
    period: int = 1  # minutes
    notification_channels: list[str]
    notification_period: int = 1440  # minutes
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Autoscale) -> "MonitorOut":
        return cls(
            id=row.pk, app_id=row.app_id, is_active=row.enabled, min_quantity=row.minimum, max_quantity=row.maximum,
            value=row.p95, notification_channels=[MAILED] if row.notify else [],
            created_at=row.created_at, updated_at=row.updated_at,
        )  # fmt: skip


@fixed.get(f"/{MONITORS}/apps/{{app}}/formation/{{type}}/monitors", response=list[MonitorOut])
def monitors(request: HttpRequest, app: str, type: str) -> list[MonitorOut]:
    """The app's autoscaling, once it has been asked for, even if it is off now."""
    row = autoscale.of(access.app_for(asker(request), app))
    return [MonitorOut.of(row)] if row and type == WEB else []


@fixed.post(f"/{MONITORS}/apps/{{app}}/formation/{{type}}/monitors", response={201: MonitorOut})
def add_monitor(request: HttpRequest, app: str, type: str, body: MonitorIn) -> Status[MonitorOut]:
    """Have the platform scale the app's web dynos, by how long visitors wait."""
    found = access.app_for(asker(request), app, to=access.OPERATE)
    if body.action_type != SCALE:
        raise Refusal("Monitors here scale web dynos; send action_type: scale.")
    return Status(201, _monitored(found, type, body, on=body.is_active is not False, by=asker(request)))


@fixed.patch(f"/{MONITORS}/apps/{{app}}/formation/{{type}}/monitors/{{ref}}", response=MonitorOut)
def change_monitor(request: HttpRequest, app: str, type: str, ref: UUID, body: MonitorIn) -> MonitorOut:
    """Change between which bounds they are scaled, or turn it off."""
    found = access.app_for(asker(request), app, to=access.OPERATE)
    if not Autoscale.objects.filter(pk=ref, app=found).exists():
        raise NotFound("Couldn't find that monitor.", resource="monitor")
    return _monitored(found, type, body, on=body.is_active, by=asker(request))


def _monitored(app: App, type: str, body: MonitorIn, *, on: bool | None, by: User) -> MonitorOut:
    if type != WEB:
        raise Refusal(f"Only web dynos are scaled by how long visitors wait: {type[:40]} has none.")
    row = _set(app, on, body.bounds, notify=body.notify, by=by)
    if row is None:
        raise Refusal(f"Autoscaling of {app.name} is off, and has never been on.")
    return MonitorOut.of(row)
