"""What the parts of a driver have in common."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.drivers.local.cgroups import Cgroups
from engine.drivers.local.isolation import Isolation
from engine.drivers.local.ports import Ports
from engine.drivers.loop import Loop
from engine.drivers.output import Outlet

if TYPE_CHECKING:
    from engine.drivers.local.dyno import Dyno


@dataclass(frozen=True)
class Services:
    """What all dynos of a driver share."""

    loop: Loop
    pool: Executor  # for what may take long: unpacking, copying, removing
    launches: Executor  # for what starts must not wait for
    health: Executor  # for requests to health paths
    outlet: Outlet
    ports: Ports
    level: Isolation
    cgroups: Cgroups | None
    tree: Callable[[str], Path]
    folder: Path
    tag: str  # the driver's own name among all on this machine
    first_uid: int
    changed: Callable[["Dyno"], None]  # it is in another state
    cleaned: Callable[["Dyno"], None]  # nothing is left of it
