"""What every app has anyway: ordering it makes nothing, and giving it up takes nothing away."""

from collections.abc import Mapping

from addons.providers.base import Order, Provided


class Included:
    """The provider of a service that is part of the platform; `message` says where it is found."""

    def __init__(self, message: str) -> None:
        self._provided = Provided({}, message)

    def why_not(self) -> str:
        """It is always there."""
        return ""

    def provision(self, order: Order) -> Provided:
        """Nothing to make."""
        return self._provided

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """Nothing to change."""
        return self._provided

    def deprovision(self, order: Order) -> None:
        """Nothing to remove."""

    def credential(self, order: Order, name: str) -> Provided:
        """It has none of its own."""
        return self._provided

    def drop_credential(self, order: Order, name: str) -> None:
        """Nothing to remove."""

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """Nothing to tell."""
        return []
