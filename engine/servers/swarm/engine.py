"""What is asked of the Docker engine for servers of add-ons, beside what the driver asks."""

import contextlib
from typing import Any

from core.errors import EngineError
from engine.drivers.swarm.client import Absent, Client


class Engine(Client):
    """One engine. Faults are `EngineError`, as the driver's client has them."""

    # --- services -----------------------------------------------------------------------------------------------

    def service(self, name: str) -> dict[str, Any] | None:
        """All about a service; None when there is none."""
        try:
            found: dict[str, Any] = self._ask(self._api.inspect_service, name)
        except Absent:
            return None
        return found

    def update_service(self, id: str, version: int, body: dict[str, Any]) -> None:
        """Have a service be as `body` says. `version` is what it was found in: nobody else may have changed it since."""
        self._post(f"/services/{id}/update?version={version}", body)

    def tasks_of(self, name: str) -> list[dict[str, Any]]:
        """A service's tasks, the newest first."""
        try:
            found = self._ask(self._api.tasks, filters={"service": name})
        except Absent:
            return []
        return sorted(found, key=lambda task: str(task["CreatedAt"]), reverse=True)

    def last_words(self, tasks: list[dict[str, Any]]) -> str:
        """The end of what the newest of these wrote that wrote anything; "" when that can't be had."""
        for task in tasks:
            container = task["Status"].get("ContainerStatus", {}).get("ContainerID")
            with contextlib.suppress(EngineError):
                said: bytes = self._ask(self._api.logs, container, tail=5) if container else b""
                if said.strip():
                    return said.decode("utf-8", "replace").strip()[-400:]
        return ""

    # --- secrets and configs ------------------------------------------------------------------------------------

    def have_secret(self, name: str, data: bytes, labels: dict[str, str]) -> str:
        """The id of the secret of that name, made with `data` if there is none."""
        return self._have(self._api.secrets, self._api.create_secret, name, data, labels)

    def have_config(self, name: str, data: bytes, labels: dict[str, str]) -> str:
        """The same for a config: what may be seen."""
        return self._have(self._api.configs, self._api.create_config, name, data, labels)

    def _have(self, find: Any, make: Any, name: str, data: bytes, labels: dict[str, str]) -> str:
        for found in self._ask(find, filters={"name": name}):  # all that begin with it
            if found["Spec"]["Name"] == name:
                return str(found["ID"])
        made = self._ask(make, name, data, labels)
        return str(made["ID"])

    def secrets(self, label: str) -> list[dict[str, Any]]:
        """All secrets with a label `name=value`; what they hold is never told."""
        return list(self._ask(self._api.secrets, filters={"label": label}))

    def remove_secret(self, id: str) -> None:
        """Remove a secret; none is no error."""
        with contextlib.suppress(Absent):
            self._ask(self._api.remove_secret, id)

    # --- volumes and networks -----------------------------------------------------------------------------------

    def volumes(self, label: str) -> list[dict[str, Any]]:
        """All volumes on the engine's own node with a label `name=value`."""
        return list(self._ask(self._api.volumes, filters={"label": label})["Volumes"] or [])

    def remove_volume(self, name: str) -> None:
        """Remove a volume; none is no error. `Taken` while a container has it."""
        with contextlib.suppress(Absent):
            self._ask(self._api.remove_volume, name)

    def gateway(self, name: str) -> str:
        """The address that the engine's own node has in a network of that name."""
        found = self._ask(self._api.inspect_network, name)
        return next((str(each["Gateway"]) for each in found["IPAM"]["Config"] or [] if "Gateway" in each), "")

    # --- images -------------------------------------------------------------------------------------------------

    def can_have(self, reference: str) -> None:
        """`EngineError` when an image is neither there nor to be had from its registry. Fetches nothing."""
        if not self.has_image(reference):
            self._ask(self._api.inspect_distribution, reference)
