"""The ways to the engines of other nodes, which alone can look into their containers.

No engine is open to the network for that. On each node but the platform's own a small service of ours has the engine's
socket, calls the platform by TLS, and joins each call that is taken to the socket (`calls`, `caller.pl`). Its secret is its
node's: a node that falls into wrong hands can show itself alone. Services and secrets are a driver's own, and its next one
makes others.
"""

import logging
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from core.errors import EngineError
from engine.drivers.swarm.calls import Calls
from engine.drivers.swarm.client import Client
from engine.tls import LocalCA

log = logging.getLogger(__name__)
LABEL = "slipway.way"  # whose; not among what dynos are found by
SCRIPT = Path(__file__).with_name("caller.pl")
SOCKET = "/var/run/docker.sock"
NAME = "engine.internal"  # in our certificate
MEMORY, PIDS = 64 * 1024 * 1024, 100
AGAIN_NANOSECONDS = 2_000_000_000
SECONDS = 15.0  # for an answer from there: the node may be gone without a word


class Ways:
    """Ways from here to the nodes of a Swarm but `own`, kept by `client`, one of its managers. `image` returns the reference
    of an image with Perl and openssl that every node can fetch, `port` is where calls are taken (0: any that is free). Methods
    block, and are for one thread at a time; `to` does not, and is for any."""

    def __init__(
        self, client: Client, *, instance: str, own: str, image: Callable[[], str], port: int = 0
    ) -> None:
        self._client, self._instance, self._own, self._image = client, instance, own, image
        self._port, self._tidy = port, False
        self._services: dict[str, str] = {}  # by node
        self._clients: dict[str, Client] = {}
        self._tokens: dict[str, str] = {}
        self._ports: dict[str, int] = {}  # by address of ours
        self._calls: Calls | None = None
        self._folder: Path | None = None

    def to(self, node: str) -> Client | None:
        """The engine of a node; None when there is no way to it now."""
        client = self._clients.get(node)
        return client if client and self._calls and self._calls.calls(node) else None

    def look(self, nodes: Iterable[tuple[str, str]]) -> None:
        """Have a way to each of `nodes` (id, address), and none to others."""
        wanted = {id: address for id, address in nodes if id != self._own and address}
        if not self._tidy:
            self._remove_old()
        if wanted and self._calls is None:
            self._begin()
        for node in wanted.keys() - self._services.keys():
            try:
                self._make(node, wanted[node])
            except (EngineError, OSError) as error:
                log.info("There is no way to node %s yet: %s", node, error)
        for node in self._services.keys() - wanted.keys():
            self._drop(node)

    def close(self) -> None:
        """End them all."""
        for node in list(self._services):
            self._drop(node)
        if self._calls and self._folder:
            self._calls.stop()
            shutil.rmtree(self._folder, ignore_errors=True)

    # --- inside -------------------------------------------------------------------------------------------------

    def _remove_old(self) -> None:
        """What a driver left that did not end in peace."""
        for service in self._client.services(f"{LABEL}={self._instance}"):
            self._client.remove_service(service["ID"])
        self._tidy = True

    def _begin(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="slipway-ways-"))
        self._authority = LocalCA(self._folder / "tls")
        self._calls = Calls(self._folder, self._authority.context(lambda name: name == NAME), self._tokens)

    def _make(self, node: str, address: str) -> None:
        assert self._calls and self._folder
        here = _our_address(address)
        if here not in self._ports:
            self._ports[here] = self._calls.listen(here, self._port)
        self._tokens[node] = secrets.token_urlsafe(32)
        place = self._calls.open(node)
        self._services[node] = self._client.create_service(self._body(node, f"{here}:{self._ports[here]}"))
        self._clients.setdefault(node, Client(f"unix://{place}", seconds=SECONDS))

    def _drop(self, node: str) -> None:
        self._tokens.pop(node, None)
        try:
            self._client.remove_service(self._services.pop(node))
        except EngineError as error:
            log.warning("The service that calls from node %s is still there: %s", node, error)

    def _body(self, node: str, to: str) -> dict[str, Any]:
        env = {
            "SLIPWAY_WAY_TO": to,
            "SLIPWAY_WAY_NAME": NAME,
            "SLIPWAY_WAY_CA": self._authority.certificate.read_text(),
            "SLIPWAY_WAY_TOKEN": self._tokens[node],
            "SLIPWAY_WAY_SOCKET": SOCKET,
        }
        return {
            "Name": f"slipway-{self._instance}-way-{secrets.token_hex(6)}",
            "Labels": {LABEL: self._instance},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": self._image(),
                    "Command": ["/usr/bin/perl", "-T", "-e", SCRIPT.read_text()],
                    "Env": [f"{name}={value}" for name, value in env.items()],
                    "User": "0:0",
                    "Mounts": [
                        {"Type": "bind", "Source": SOCKET, "Target": SOCKET},
                        {"Type": "tmpfs", "Target": "/tmp"},  # noqa: S108 - its own
                    ],
                    "ReadOnly": True,
                    "CapabilityDrop": ["ALL"],
                    "StopGracePeriod": AGAIN_NANOSECONDS,
                },
                "Resources": {"Limits": {"MemoryBytes": MEMORY, "Pids": PIDS}, "Reservations": {}},
                "RestartPolicy": {"Condition": "any", "Delay": AGAIN_NANOSECONDS},
                "Placement": {"Constraints": [f"node.id=={node}"]},
                "Networks": [{"Target": "host"}],
                "LogDriver": {"Name": "local", "Options": {"max-size": "1m", "max-file": "2"}},
            },
            "Mode": {"Replicated": {"Replicas": 1}},
            "EndpointSpec": {"Mode": "dnsrr"},
        }


def _our_address(other: str) -> str:
    """That of this machine's by which `other` is reached, and so reaches us. Nothing is sent."""
    family = socket.AF_INET6 if ":" in other else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((other, 9))
        return str(probe.getsockname()[0])
