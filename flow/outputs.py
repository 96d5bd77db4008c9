"""Who may read what a command of a gate writes: whoever may read the logs of every app that it ran on, since it saw
their config."""

from accounts.models import User
from apps import access as app_access
from apps.models import App
from core.errors import NotFound
from flow.models import Probe
from releases.models import OPEN

KIND = "probe"


def demand(user: User, kind: str, ref: str) -> None:
    """`NotFound` or `Forbidden` for who may not read the output of the probe with the id `ref`."""
    probe = Probe.objects.filter(pk=ref).first()
    ran_on = list(App.objects.filter(pk__in=probe.facts.get("apps", []))) if probe else []
    if not ran_on:
        raise NotFound("Couldn't find that stream.", resource="stream")
    for app in ran_on:
        app_access.app_for(user, str(app.pk), to=app_access.OPERATE)


def is_over(kind: str, ref: str) -> bool:
    """Whether no line will follow."""
    return not Probe.objects.filter(pk=ref, status__in=OPEN).exists()
