"""What dynos use of memory, as the driver last saw it, becomes rows, once a minute, and a warning where it is too much."""

from collections import defaultdict
from uuid import UUID

from django.utils import timezone

from apps import dyno_events, memory
from apps.models import Dyno, Formation
from conductor.duty import NotOnDuty
from conductor.parts import Parts
from engine.spec import SIZES, DynoState

EVERY_SECONDS = 60.0


def look(parts: Parts) -> None:
    """Write down one look at all dynos of formations; of one-off dynos nothing is kept."""
    looks: dict[tuple[UUID, str], list[DynoState]] = defaultdict(list)
    for app, states in _seen(parts).items():
        for state in states:
            if state.state == "up" and state.memory:
                looks[UUID(app), state.dyno.rpartition(".")[0]].append(state)
    if not looks:
        return
    wanted = Formation.objects.filter(app__in={app for app, _ in looks}, quantity__gt=0)
    sizes = {(app, type): SIZES.get(size) for app, type, size in wanted.values_list("app_id", "type", "size")}
    now = timezone.now()
    memory.add({key: [state.memory for state in looks[key]] for key in looks.keys() & sizes.keys()}, now)
    over = [
        state.id.split(".")[0]
        for key, size in sizes.items()
        for state in looks.get(key, ())
        if size is not None and state.memory > size.memory
    ]
    if over:
        dyno_events.warn_of_memory(list(Dyno.objects.filter(pk__in=over, one_off=False)), now)


def _seen(parts: Parts) -> dict[str, list[DynoState]]:
    try:
        return {app: parts.driver.observe(app) for app in parts.driver.apps()}
    except NotOnDuty:  # another conductor has begun to lead meanwhile
        return {}
