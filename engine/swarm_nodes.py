"""The machines of a Docker Swarm, asked of one of its managers."""

import shlex
from collections.abc import Sequence
from typing import Any

import docker
from docker.errors import APIError, DockerException

from core.errors import EngineError
from engine.drivers.swarm import network
from engine.nodes import Entrance, Machine

INSTANCE, DYNO = (
    "slipway.instance",
    "slipway.dyno",
)  # labels of a dyno's service: whose it is, and its spec id
GONE = 404
SECONDS = 10  # for one answer of the engine
_OWN, _ADDRESS = "0.0.0.0", "$(docker info -f '{{.Swarm.NodeAddr}}')"  # noqa: S104 - stands for a node's own address


class SwarmMachines:
    """Those of the Swarm that the engine at `url` manages. `instance` is whose dynos are counted."""

    def __init__(self, url: str, instance: str) -> None:
        self._url, self._instance = url, instance

    def all(self) -> list[Machine]:
        """Each of them, as it is now."""
        with _Asking(self._url) as client:
            tasks = [task for _, task in self._tasks(client)]
            return [_machine(node.attrs, tasks) for node in client.nodes.list()]

    def dynos_on(self, id: str) -> list[str]:
        """The ids that our services there carry as a label."""
        with _Asking(self._url) as client:
            return [dyno for dyno, task in self._tasks(client) if task.get("NodeID") == id]

    def entrance(self) -> Entrance:
        """How another joins: through this manager."""
        with _Asking(self._url) as client:
            swarm = client.info()["Swarm"]
            managers = [manager["Addr"] for manager in swarm.get("RemoteManagers") or ()]
            here = next((addr for addr in managers if addr.startswith(f"{swarm['NodeAddr']}:")), None)
            token: str = client.api.inspect_swarm()["JoinTokens"]["Worker"]
            then = shlex.join(network.command(self._instance, _OWN)).replace(_OWN, _ADDRESS)
            return Entrance(here or f"{swarm['NodeAddr']}:2377", token, then)

    def set_availability(self, id: str, availability: str) -> None:
        """Change what the engine may use the machine for."""
        with _Asking(self._url) as client:
            node = client.nodes.get(id)
            if node.attrs["Spec"]["Availability"] != availability:
                node.update({**node.attrs["Spec"], "Availability": availability})

    def remove(self, id: str) -> None:
        """Forget a machine; it is no error when that has been done."""
        with _Asking(self._url) as client:
            try:
                client.api.remove_node(id)
            except APIError as error:
                if error.status_code != GONE:
                    raise

    def _tasks(self, client: Any) -> list[tuple[str, dict[str, Any]]]:
        """Our tasks that are alive, each with the spec id of its dyno."""
        found = client.api.services(filters={"label": f"{INSTANCE}={self._instance}"})
        marks = {service["ID"]: service["Spec"]["Labels"] for service in found}
        dynos = {id: labels[DYNO] for id, labels in marks.items() if DYNO in labels}
        running = client.api.tasks(filters={"desired-state": "running"})
        alive = [task for task in running if task.get("ServiceID") in dynos and _is_alive(task)]
        return [(dynos[task["ServiceID"]], task) for task in alive]

    def rotate(self) -> None:
        """Make another token for workers."""
        with _Asking(self._url) as client:
            client.swarm.update(rotate_worker_token=True)


class _Asking:
    """A client for a few questions, whose trouble is ours to tell. What the engine refuses it refuses for good."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> Any:
        try:
            self._client = docker.DockerClient(base_url=self._url, version="auto", timeout=SECONDS)
        except DockerException as error:
            raise EngineError(f"The engine at {self._url} does not answer: {error}") from error
        return self._client

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._client.close()
        if isinstance(error, APIError) and error.is_client_error():
            raise EngineError(str(error.explanation or error), permanent=True) from error
        if isinstance(error, DockerException | OSError):
            raise EngineError(f"The engine at {self._url} has trouble: {error}") from error


def _is_alive(task: dict[str, Any]) -> bool:
    return task["Status"]["State"] not in ("complete", "failed", "shutdown", "rejected", "orphaned", "remove")


def _machine(told: dict[str, Any], tasks: Sequence[dict[str, Any]]) -> Machine:
    spec, facts, status = told["Spec"], told.get("Description", {}), told.get("Status", {})
    manager = told.get("ManagerStatus") or {}
    resources, platform = facts.get("Resources", {}), facts.get("Platform", {})
    here = [task for task in tasks if task.get("NodeID") == told["ID"]]
    return Machine(
        id=told["ID"],
        hostname=facts.get("Hostname", ""),
        address=manager.get("Addr", "").rpartition(":")[0] or status.get("Addr", ""),
        role=spec["Role"],
        leads=bool(manager.get("Leader")),
        state=status.get("State", "unknown"),
        availability=spec["Availability"],
        engine=facts.get("Engine", {}).get("EngineVersion", ""),
        system=f"{platform.get('OS', '')} {platform.get('Architecture', '')}".strip(),
        cores=resources.get("NanoCPUs", 0) / 1e9,
        memory=resources.get("MemoryBytes", 0),
        dynos=len(here),
        promised=sum(_limit(task) for task in here),
    )


def _limit(task: dict[str, Any]) -> int:
    limits = (task["Spec"].get("Resources") or {}).get("Limits") or {}
    return int(limits.get("MemoryBytes", 0))


def url_of(engine_url: str) -> str:
    """The engine's own address in ENGINE_URL: `swarm+unix:///run/docker.sock` without what is before the plus."""
    return engine_url.removeprefix("swarm+")
