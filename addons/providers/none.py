"""For services that nobody provides on this machine."""

from collections.abc import Mapping
from typing import NoReturn

from addons.providers.base import Order, Provided
from core.errors import EngineError


class NoProvider:
    """Says that it can't."""

    def __init__(self, service: str) -> None:
        self._why = f"No provider of {service} is built into Slipway."

    def why_not(self) -> str:
        """That there is none."""
        return self._why

    def provision(self, order: Order) -> Provided | None:
        """`EngineError`."""
        self._refuse()

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """`EngineError`."""
        self._refuse()

    def deprovision(self, order: Order) -> None:
        """Nothing was made, so nothing is left."""

    def credential(self, order: Order, name: str) -> Provided:
        """`EngineError`."""
        self._refuse()

    def drop_credential(self, order: Order, name: str) -> None:
        """Nothing was made, so nothing is left."""

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """None."""
        return []

    def _refuse(self) -> NoReturn:
        raise EngineError(self._why, permanent=True)
