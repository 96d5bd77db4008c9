"""What the page of a storage shows: where its folder is, and how full."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from addons import volumes
from addons.models import Addon
from addons.providers.storage import STORAGE
from dashboard.database_panels import TIGHT, size_of


@dataclass(frozen=True)
class Volume:
    """A folder, for people."""

    path: str
    text: str  # "3.0 MB of 1.0 GB"; empty before it was measured
    percent: int  # of what the plan has room for
    files: int
    at: datetime | None  # when it was measured

    @property
    def tight(self) -> bool:
        """Whether it is warned of."""
        return self.percent >= TIGHT

    @property
    def over(self) -> bool:
        """Whether it holds more than the plan has room for."""
        return self.percent > 100


def of_addon(addon: Addon, *, may_see_config: bool) -> dict[str, Any]:
    """`{"volume": …}` for a storage, whose path is a config var's value; nothing for other add-ons."""
    if addon.service.name != STORAGE or not addon.sealed_config:
        return {"volume": None}
    path = str(volumes.volumes().path(str(addon.pk))) if may_see_config else ""
    seen = volumes.measured().get(str(addon.pk))
    if seen is None:
        return {"volume": Volume(path, "", 0, 0, None)}
    room, use = volumes.room(addon), seen.use
    least = "" if use.whole else "at least "
    text = f"{least}{size_of(use.bytes) or '0 B'} of {size_of(room)}"
    percent = -(-100 * use.bytes // room) if room else 0
    return {"volume": Volume(path, text, percent, use.files, datetime.fromtimestamp(seen.at, UTC))}


def keeps(addon: Addon, days: int) -> int:
    """For how many days its files are kept when it is destroyed; 0 for other add-ons."""
    return days if addon.service.name == STORAGE else 0
