"""The container of a build, seen from the engine: made, started with our streams on it, and removed."""

import contextlib
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import docker.errors
import requests

from core.errors import EngineError
from engine.builder.containers.images import CACHE

BUILD, SPARE = (
    "slipway.build",
    "slipway.spare",
)  # the labels that give a container's build, a spare one's cache
CACHE_OF = "slipway.cache"  # the label that gives the cache that a volume is
# What its first program needs to put up the fences, to become another user, and to see all files.
RIGHTS = ("NET_ADMIN", "SETUID", "SETGID", "DAC_READ_SEARCH")
ENTRY = ["python3", "-IS", "/slipway/code/engine/builder/containers/inside.py"]
TROUBLE = (docker.errors.DockerException, requests.RequestException)  # of the engine, or on the way to it


@dataclass(frozen=True)
class Place:
    """Where the builds with one cache run and what each may take. A container made for one build will do for another
    exactly when their places are equal."""

    cache: str  # its name
    image: str
    network: str
    volume: str  # that the cache is; made when it is not there
    cpus: float
    memory: int  # bytes
    processes: int
    labels: Mapping[str, str]


class Started:
    """A container that runs and waits for its job, with our ends of its streams."""

    def __init__(self, id: str, wrapped: Any) -> None:
        self.id = id
        self._wrapped = wrapped
        self.stream: socket.socket = getattr(wrapped, "_sock", wrapped)

    def lives(self) -> bool:
        """Whether it has not ended, for one that has said nothing yet."""
        self.stream.setblocking(False)
        try:
            return bool(self.stream.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self.stream.setblocking(True)

    def close(self) -> None:
        """Let go of the streams, which ends it, and wakes whoever reads them."""
        with contextlib.suppress(OSError):
            self.stream.shutdown(socket.SHUT_RDWR)
        self._wrapped.close()
        self.stream.close()


def start(
    client: Any, place: Place, name: str, label: Mapping[str, str], entry: Sequence[str] = ENTRY
) -> Started:
    """Make a container of this name, which nothing else may have, and start it. What is left when this raises has the name."""
    client.volumes.create(place.volume, labels={**place.labels, CACHE_OF: place.cache})
    container = client.containers.create(
        place.image,
        list(entry),
        name=name,
        hostname="build",
        labels={**place.labels, **label},
        auto_remove=True,
        stdin_open=True,
        network=place.network,
        mem_limit=place.memory,
        memswap_limit=place.memory,
        pids_limit=place.processes,
        nano_cpus=int(place.cpus * 1_000_000_000),
        cap_drop=["ALL"],
        cap_add=list(RIGHTS),
        security_opt=["no-new-privileges:true"],
        volumes={place.volume: {"bind": CACHE, "mode": "rw"}},
        tmpfs={},
        log_config={"type": "none", "config": {}},
        environment={"LANG": "C.UTF-8"},
    )
    params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    started = Started(container.id, container.attach_socket(params=params))
    try:
        container.start()
    except BaseException:
        started.close()
        raise
    return started


def name_of(build: str) -> str:
    """The name of a build's container."""
    return f"slipway-build-{build}"


def build_of(container: Mapping[str, Any]) -> str:
    """The build that a container of the engine's list has had or has; "" for a spare one."""
    names = [str(name).lstrip("/") for name in container["Names"] or ()]
    found = next((name for name in names if name.startswith(name_of(""))), "")
    return container["Labels"].get(BUILD) or found.removeprefix(name_of(""))


def remove(client: Any, container: str) -> None:
    """End and remove a container, if it is there; returns once it is gone, or nearly."""
    for _ in range(3):
        try:
            client.api.remove_container(container, force=True, v=True)
            return
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as fault:
            if fault.status_code != 409:  # it is being removed already
                raise EngineError(f"The build's container could not be removed: {why(fault)}") from fault
            time.sleep(0.05)
        except requests.RequestException as fault:
            raise EngineError(f"The build's container could not be removed: {why(fault)}") from fault


def why(fault: Exception) -> str:
    """What the engine says of it, in short."""
    return str(getattr(fault, "explanation", None) or fault)[:200]
