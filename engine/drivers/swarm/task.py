"""What the Swarm says of the task that runs a dyno."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

# States of a task that never comes to run, or does not run any more.
GONE = {"complete", "shutdown", "failed", "rejected", "remove", "orphaned"}


@dataclass(frozen=True)
class Task:
    """A task as it is now. `container` is the id that its node's engine knows, "" while there is none; `fault` is empty
    unless something went wrong."""

    node: str
    state: str
    wished: str  # the state that the Swarm wants it in
    container: str
    code: int | None
    fault: str
    message: str

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """The task that the engine describes as `found`."""
        status = found.get("Status", {})
        container = status.get("ContainerStatus", {})
        return cls(
            node=found.get("NodeID", ""),
            state=status.get("State", ""),
            wished=found.get("DesiredState", ""),
            container=container.get("ContainerID", ""),
            code=container.get("ExitCode"),
            fault=status.get("Err", ""),
            message=status.get("Message", ""),
        )

    @property
    def runs(self) -> bool:
        """Whether its process does."""
        return self.state == "running"

    @property
    def is_gone(self) -> bool:
        """Whether it never comes to run, or does not run any more."""
        return self.state in GONE

    @property
    def is_to_go(self) -> bool:
        """Whether the Swarm wants it to end."""
        return self.wished in GONE

    @property
    def ran_and_ended(self) -> bool:
        """Whether it ended by its own process: it may do so between two looks at it. One that could not be started says
        so in other words."""
        own = self.state == "complete" or self.fault.startswith("task: non-zero exit")
        return own and bool(self.container)

    @property
    def why_gone(self) -> str:
        """What is known of why it never ran, for people."""
        return self.fault or self.message or self.state
