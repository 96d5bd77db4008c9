"""Storage: a folder for each add-on, which dynos of the apps that it is attached to find at its own path."""

from collections.abc import Mapping

from django.conf import settings

from addons.providers.base import Order, Provided
from core.errors import EngineError
from engine.volumes import Volumes

STORAGE = "storage"  # the service
SIZE_MB = 1024  # of a plan that says nothing
MB = 1024 * 1024


def volumes() -> Volumes:
    """Where the folders are."""
    return Volumes(settings.DATA / "volumes")


def size_of(limits: Mapping[str, int]) -> int:
    """The bytes that a plan of these `limits` has room for."""
    return limits.get("storage_mb", SIZE_MB) * MB


class Storage:
    """Folders in the data folder. Nothing but what dynos put there is in them."""

    def why_not(self) -> str:
        """There is always a disk."""
        return ""

    def provision(self, order: Order) -> Provided:
        """A folder, empty at first, and the same one at a second try."""
        try:
            place = volumes().make(order.id)
        except OSError as error:
            raise EngineError(f"Its folder can't be made: {error.strerror}.") from error
        return Provided({"DIR": str(place)}, message="The folder is ready.")

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """Nothing to change but what it is held against; it has to fit."""
        use = volumes().measure(order.id)
        if use.bytes > size_of(limits):
            raise EngineError(
                f"{order.name} holds {use.bytes / MB:,.0f} MB, and {plan} has room for {size_of(limits) // MB:,} MB: "
                "delete files first, or choose a larger plan.",
                permanent=True,
            )
        return self.provision(order)

    def deprovision(self, order: Order) -> None:
        """Put the folder aside."""
        try:
            volumes().put_aside(order.id)
        except OSError as error:
            raise EngineError(f"Its folder can't be put aside: {error.strerror}.") from error

    def credential(self, order: Order, name: str) -> Provided:
        """It has none: who is attached gets in."""
        return self.provision(order)

    def drop_credential(self, order: Order, name: str) -> None:
        """There is none."""

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """Where it is; how much it holds is measured now and then."""
        return [("Path", str(volumes().path(order.id)))]

    def holds(self) -> set[str]:
        """The ids of the folders there are."""
        return volumes().ids()
