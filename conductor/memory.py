"""What dynos use of memory, as the driver last saw it, becomes rows, once a minute."""

from collections import defaultdict
from uuid import UUID

from django.utils import timezone

from apps import memory
from apps.models import Formation
from conductor.duty import NotOnDuty
from conductor.parts import Parts
from engine.spec import DynoState

EVERY_SECONDS = 60.0


def look(parts: Parts) -> None:
    """Write down one look at all dynos of formations; of one-off dynos nothing is kept."""
    looks: dict[tuple[UUID, str], list[int]] = defaultdict(list)
    for app, states in _seen(parts).items():
        for state in states:
            if state.state == "up" and state.memory:
                looks[UUID(app), state.dyno.rpartition(".")[0]].append(state.memory)
    if looks:
        wanted = Formation.objects.filter(app__in={app for app, _ in looks}, quantity__gt=0)
        kept = set(wanted.values_list("app_id", "type"))
        memory.add({key: used for key, used in looks.items() if key in kept}, timezone.now())


def _seen(parts: Parts) -> dict[str, list[DynoState]]:
    try:
        return {app: parts.driver.observe(app) for app in parts.driver.apps()}
    except NotOnDuty:  # another conductor has begun to lead meanwhile
        return {}
