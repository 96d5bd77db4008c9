"""What providers share that run a server of its own for each order."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from addons.providers import embedded
from addons.providers.base import Order, Provided
from engine.servers.each import Each


class OwnServers(ABC):
    """Small servers that the platform runs itself, on loopback or as services."""

    shared = False
    absent: ClassVar[str]  # what is said where no program is installed

    @abstractmethod
    def is_installed(self) -> bool:
        """Whether there is a program to run."""

    @abstractmethod
    def servers(self) -> Each[Any]:
        """All that run."""

    @abstractmethod
    def ensure(self, order: Order) -> Provided:
        """Have the server of an order there, as its plan and options say, and tell how it is reached."""

    def why_not(self) -> str:
        """Why there can be no server."""
        if embedded.in_containers():
            return embedded.why_no_service(self.servers().kind)
        return "" if self.is_installed() else self.absent

    def provision(self, order: Order) -> Provided | None:
        """A server with a password. Without TLS: nothing is on the way but the machine."""
        return self.ensure(order) if self.servers().fetched() else None

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """More memory or less, more clients or fewer."""
        return self.ensure(replace(order, plan=plan, limits=limits))

    def deprovision(self, order: Order) -> None:
        """End the server and remove its data."""
        self.servers().remove(order.id)

    def credential(self, order: Order, name: str) -> Provided:
        """All share the default one. Follows a new password, and the options where it has some."""
        return self.ensure(order)

    def drop_credential(self, order: Order, name: str) -> None:  # noqa: B027 - nothing is to be done
        """There is none but the default one."""

    def holds(self) -> set[str]:
        """The ids of the servers there are."""
        return self.servers().ids()

    # --- addons.providers.base.Maintains ------------------------------------------------------------------------------

    def maintains(self) -> bool:
        """Always: each order has a server of its own."""
        return True

    def outdated(self, id: str) -> bool:
        """Whether a newer program is installed."""
        return self.servers().outdated(id)

    def renew(self, order: Order) -> None:
        """Start it again with the newer program."""
        self.servers().renew(order.id)
