"""The machines of an engine that has several: which there are, what they have, and how one joins or is taken out."""

from dataclasses import dataclass, field
from typing import Protocol

INSTANCE, DYNO = (
    "slipway.instance",
    "slipway.dyno",
)  # labels of a dyno's service: whose it is, and its spec id
GONE = 404
SECONDS = 10  # for one answer of the engine


@dataclass(frozen=True)
class Machine:
    """One node as the engine has it. Memory in bytes."""

    id: str
    hostname: str
    address: str
    role: str  # manager, worker
    leads: bool
    state: str  # ready, down, disconnected, unknown
    availability: str  # active, pause, drain
    engine: str
    system: str
    cores: float
    memory: int
    dynos: int = 0
    promised: int = 0  # bytes that those dynos may use together


@dataclass(frozen=True)
class Entrance:
    """With what a machine joins as a worker, and where."""

    address: str
    token: str = field(repr=False)
    then: str = ""  # a command for it to run once it has joined


class Machines(Protocol):
    """The machines of an engine that has several. Every call may be repeated; faults are `EngineError`."""

    def all(self) -> list[Machine]:
        """Each of them, as it is now."""
        ...

    def dynos_on(self, id: str) -> list[str]:
        """The spec ids of what runs on a machine, one-off dynos apart."""
        ...

    def entrance(self) -> Entrance:
        """How another joins."""
        ...

    def set_availability(self, id: str, availability: str) -> None:
        """`pause`: no dyno comes; `drain`: those that are there end as well; `active`: dynos may come again."""
        ...

    def remove(self, id: str) -> None:
        """Forget a machine that is down."""
        ...

    def rotate(self) -> None:
        """Void the token with which machines join; those that have are not touched."""
        ...
