"""The network of dynos: out into the world, never to each other.

It is a bridge on each node, on which the engine lets no two containers talk. The Swarm takes a bridge's options from a
network of configuration that each node has to have, so there are two names.
"""

from typing import Any

from engine.drivers.swarm.client import Client

APART = "com.docker.network.bridge.enable_icc"
BINDING = "com.docker.network.bridge.host_binding_ipv4"  # where ports are published, if any are
LOOPBACK = "127.0.0.1"


def name(instance: str) -> str:
    """The network that dynos are in."""
    return f"slipway-{instance}-dynos"


def configuration(instance: str, address: str = LOOPBACK) -> dict[str, Any]:
    """What each node has to have, by the engine's API. `address` is the node's own."""
    return {
        "Name": f"slipway-{instance}-node",
        "ConfigOnly": True,
        "Driver": "bridge",
        "Options": {APART: "false", BINDING: address},
        "Labels": {"slipway.instance": instance},
    }


def command(instance: str, address: str) -> list[str]:
    """The same as a command that is run on a node once, before it has dynos."""
    body = configuration(instance, address)
    options = [word for key, value in body["Options"].items() for word in ("--opt", f"{key}={value}")]
    labels = [word for key, value in body["Labels"].items() for word in ("--label", f"{key}={value}")]
    return ["docker", "network", "create", "--config-only", *options, *labels, body["Name"]]


def make(client: Client, instance: str, address: str) -> None:
    """Have both on the engine's own node."""
    configured = configuration(instance, address)
    client.make_network(configured)
    client.make_network(
        {
            "Name": name(instance),
            "CheckDuplicate": True,
            "Driver": "bridge",
            "Scope": "swarm",
            "Attachable": True,
            "ConfigFrom": {"Network": configured["Name"]},
        }
    )
