"""Keeps dynos of one node from those of another, which are reached by ports of their node's address.

On one node the bridge lets no two containers talk. Between nodes there is no bridge: so on each of them a program of ours
(`fence.pl`) has the kernel refuse what comes from dynos and goes to such a port of a node. It stays when the driver ends, as dynos do.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engine.drivers.swarm import network
from engine.drivers.swarm.client import Client

LABEL = "slipway.fence"  # whose; not among what dynos are found by
SCRIPT = Path(__file__).with_name("fence.pl")
MEMORY, PIDS = 32 * 1024 * 1024, 20
AGAIN_NANOSECONDS = 2_000_000_000


class Fence:
    """The fence of an instance, by `client`, a manager. `image` returns the reference of an image with Perl that every node
    can fetch, `ports` are those of dynos. Methods block, and are for one thread at a time."""

    def __init__(self, client: Client, *, instance: str, image: Callable[[], str], ports: range) -> None:
        self._client, self._instance, self._image = client, instance, image
        self._ports = f"{ports[0]}-{ports[-1]}"
        self._nodes: list[str] = []

    def look(self, addresses: Iterable[str]) -> None:
        """Have it on all nodes; `addresses` are theirs. With fewer than two there is none."""
        nodes = sorted(address for address in addresses if address and ":" not in address)
        if nodes == self._nodes or (len(nodes) < 2 and not self._nodes):
            return
        name = self._put_up(nodes) if len(nodes) > 1 else ""
        self._remove(but=name)
        self._nodes = nodes

    def take_down(self) -> None:
        """Remove it from all nodes: no dyno is left."""
        self._remove(but="")
        self._nodes = []

    # --- inside -------------------------------------------------------------------------------------------------

    def _put_up(self, nodes: list[str]) -> str:
        """Returns the name by which it is known; what has it is there already."""
        bridge = f"br-{self._client.network(network.name(self._instance))[:12]}"
        env = [
            f"SLIPWAY_FENCE_BRIDGE={bridge}",
            f"SLIPWAY_FENCE_PORTS={self._ports}",
            f"SLIPWAY_FENCE_NODES={' '.join(nodes)}",
        ]
        image, script = self._image(), SCRIPT.read_text()
        digest = hashlib.sha256("\0".join([image, script, *env]).encode()).hexdigest()[:12]
        name = f"slipway-{self._instance}-fence-{digest}"
        command = ["/usr/bin/perl", "-T", "-e", script]
        self._client.create_service(self._body(name, image, command, env))
        return name

    def _remove(self, *, but: str) -> None:
        for service in self._client.services(f"{LABEL}={self._instance}"):
            if service["Spec"]["Name"] != but:
                self._client.remove_service(service["ID"])

    def _body(self, name: str, image: str, command: list[str], env: list[str]) -> dict[str, Any]:
        return {
            "Name": name,
            "Labels": {LABEL: self._instance},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": image,
                    "Command": command,
                    "Env": env,
                    "User": "0:0",
                    "ReadOnly": True,
                    "CapabilityDrop": ["ALL"],
                    "CapabilityAdd": ["CAP_NET_ADMIN"],
                    "StopGracePeriod": AGAIN_NANOSECONDS,
                },
                "Resources": {"Limits": {"MemoryBytes": MEMORY, "Pids": PIDS}, "Reservations": {}},
                "RestartPolicy": {"Condition": "any", "Delay": AGAIN_NANOSECONDS},
                "Networks": [{"Target": "host"}],
                "LogDriver": {"Name": "local", "Options": {"max-size": "1m", "max-file": "2"}},
            },
            "Mode": {"Global": {}},
            "EndpointSpec": {"Mode": "dnsrr"},
        }
