"""The volumes of the service `storage`: which of them an app's dynos find, and how much they hold."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

from django.conf import settings

from addons import actions
from addons.models import Addon, Attachment
from addons.providers.storage import STORAGE, size_of, volumes
from apps.models import App
from core.secrets import Tampered
from engine.volumes import Use

log = logging.getLogger(__name__)

MEASURED = "run/volumes.json"  # below the data folder
DAY = 24 * 3600.0
THERE = (Addon.State.PROVISIONED, Addon.State.CHANGING)


@dataclass(frozen=True)
class Measured:
    """How much a volume held, and when that was seen."""

    use: Use
    at: float  # seconds since the epoch


class Attached:
    """The volumes of the add-ons that an app is attached to. Asks once, and only for configs that name a volume."""

    def __init__(self, app: App) -> None:
        self._app = app

    def of(self, config: Mapping[str, str]) -> tuple[str, ...]:
        """Those that dynos with this config find. It has to name them, and the app to be attached to them: neither alone
        is enough, since the values of other add-ons are their providers' to choose."""
        root, named = f"{volumes().root}/", set(config.values())
        if not any(value.startswith(root) for value in named):
            return ()
        return tuple(sorted(self._paths & named))

    @cached_property
    def _paths(self) -> set[str]:
        rows = Attachment.objects.filter(app=self._app, addon__plan__service__name=STORAGE)
        ids = rows.filter(addon__state__in=THERE).values_list("addon_id", flat=True)
        return {str(volumes().path(str(id))) for id in ids}


def measure() -> None:
    """Write down how much each volume holds. Takes its time."""
    found = {id: asdict(volumes().measure(id)) for id in sorted(volumes().ids())}
    place = settings.DATA / MEASURED
    if not found and not place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_suffix(".new")
    temporary.write_text(json.dumps({"at": time.time(), "volumes": found}))
    temporary.replace(place)


def measured() -> dict[str, Measured]:
    """What was measured last, by the ids of add-ons."""
    try:
        found = json.loads((settings.DATA / MEASURED).read_text())
        return {id: Measured(Use(**use), found["at"]) for id, use in found["volumes"].items()}
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return {}


def bytes_by_name() -> dict[str, int]:
    """What was measured last, by the names of add-ons that are still there."""
    found = measured()
    names = Addon.objects.filter(pk__in=found).values_list("pk", "name") if found else ()
    return {name: found[str(pk)].use.bytes for pk, name in names}


def room(addon: Addon) -> int:
    """The bytes that its plan has room for."""
    return size_of(addon.plan.limits)


def settle() -> None:
    """Have every volume there, and its apps know where: a restored Slipway has none, one that was moved has them
    elsewhere."""
    for addon in Addon.objects.whole().filter(plan__service__name=STORAGE, state=Addon.State.PROVISIONED):
        try:
            place = volumes().make(str(addon.pk))
            actions.update_config(addon, {"DIR": str(place)}, description="Move {}", by=None)
        except (OSError, Tampered) as error:
            log.error("The folder of %s is not as it should be: %s", addon.name, error)


def clear() -> None:
    """Delete for good what was given up long enough ago."""
    volumes().clear(older_than=settings.KEEP_LAST_BACKUP_DAYS * DAY)
