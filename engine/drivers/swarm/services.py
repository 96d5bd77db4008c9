"""What the parts of the driver have in common."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.drivers.local.ports import Ports
from engine.drivers.loop import Loop
from engine.drivers.output import Outlet
from engine.drivers.swarm.client import Client
from engine.drivers.swarm.slugs import Slugs
from engine.drivers.swarm.spares import Spares
from engine.drivers.swarm.ways import Ways

if TYPE_CHECKING:
    from engine.drivers.swarm.dyno import Dyno

Last = Callable[[str, str], tuple[float, int]]


@dataclass(frozen=True)
class Services:
    """What all dynos of a driver share."""

    client: Client
    loop: Loop
    pool: Executor  # for what asks the engine
    health: Executor  # for requests to health paths
    outlet: Outlet
    ports: Ports
    slugs: Slugs
    spares: Spares
    pause: float  # seconds that what a release has started has for itself
    ways: Ways
    instance: str
    node: str  # the id of the node whose engine we ask
    address: str  # and where other nodes find it
    cores: int
    first_uid: int
    publish: Callable[[], bool]  # whether dynos have to be reached from other nodes
    last: Last  # (stream, dyno) -> time of the last line that the sink has of it, and how many have that very time
    changed: Callable[["Dyno"], None]  # it is in another state
    cleaned: Callable[["Dyno"], None]  # nothing is left of it
