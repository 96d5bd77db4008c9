"""What the engine is told of one server of add-ons: a service of one task, on the network of its node.

The node's own network, since dynos are let to nothing else: no container reaches another one here. A server listens on
given addresses of the node alone, and asks everybody for a password. It has no right that an ordinary user has not, a
read-only root, and its volume at /var/tmp: a folder that every image lets everybody write to, which a new volume takes over.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.drivers.swarm.describe import FILES, INSTANCE, LOG, NANO

SERVER, DIGEST = "slipway.server", "slipway.digest"  # labels: "valkey/<id>", and what the body was made from
UID = 29995
PASSWD = f"root:x:0:0::/root:/bin/sh\nslipway:x:{UID}:{UID}::/var/tmp:/bin/sh\n"  # initdb wants a name for its user
VOLUME, SECRETS = "/var/tmp", "/run/secrets"  # noqa: S108 - its own
MB = 1024 * 1024
SHARED_MEMORY = 256 * MB  # what PostgreSQL's helpers share while an index is made
UPDATES = {
    "Parallelism": 1,
    "Delay": 0,
    "FailureAction": "continue",
    "Monitor": 1_000_000,
    "MaxFailureRatio": 1,
    "Order": "stop-first",  # two never have one volume
}
RESTARTS = {"Condition": "any", "Delay": 2 * NANO, "MaxAttempts": 0, "Window": 0}


@dataclass(frozen=True)
class Server:
    """How one server shall be."""

    kind: str  # "valkey"
    id: str  # its order's, or what else tells it from others of its kind
    image: str
    script: str  # the file's name
    arguments: Sequence[str] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # by the file's name
    volume: bool = True
    memory: int = 0  # bytes; 0 for no limit
    cpus: int = 0  # cores; 0 for no limit
    pids: int = 100
    stop_signal: str = "SIGTERM"
    stop_seconds: int = 20


def name(instance: str, kind: str, id: str) -> str:
    """One name for each, so that a second try finds the first. Its volume is called so too. 63 characters are allowed."""
    return f"slipway-{kind}-{hashlib.sha256(f'{instance} {id}'.encode()).hexdigest()[:20]}"


def labels(instance: str, kind: str, id: str) -> dict[str, str]:
    """By these its things are found again."""
    return {INSTANCE: instance, SERVER: f"{kind}/{id}"}


def secret_name(name: str, file: str, text: str) -> str:
    """One name for each content, since a secret can't be changed."""
    return f"{name}-{hashlib.sha256(f'{file} {text}'.encode()).hexdigest()[:12]}"


def service(
    server: Server,
    instance: str,
    *,
    node: str,
    secrets: Mapping[str, tuple[str, str]],
    passwd: tuple[str, str],
) -> dict[str, Any]:
    """The body of a request for it. `secrets` are id and name of each by the file's name, `passwd` those of the
    config that names the user; `node` is the id of the one that has, or gets, its volume."""
    called, marks = name(instance, server.kind, server.id), labels(instance, server.kind, server.id)
    mounts: list[dict[str, Any]] = [
        {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 16 * MB, "Mode": 0o1777}},  # noqa: S108
        {"Type": "tmpfs", "Target": "/dev/shm", "TmpfsOptions": {"SizeBytes": SHARED_MEMORY, "Mode": 0o1777}},  # noqa: S108
    ]
    if server.volume:
        mounts.append(
            {"Type": "volume", "Source": called, "Target": VOLUME, "VolumeOptions": {"Labels": marks}}
        )
    limits = {
        "NanoCPUs": server.cpus * NANO, "MemoryBytes": server.memory, "Pids": server.pids,
    }  # fmt: skip
    container: dict[str, Any] = {
        "Image": server.image,
        "Command": ["/bin/sh", "-c", Path(__file__).with_name(server.script).read_text(), server.kind],
        "Args": list(server.arguments),
        "User": f"{UID}:{UID}",
        "Mounts": mounts,
        "Secrets": [
            {"SecretID": id, "SecretName": known, "File": _file(file)}
            for file, (id, known) in secrets.items()
        ],
        "Configs": [{"ConfigID": passwd[0], "ConfigName": passwd[1], "File": _file("/etc/passwd", 0, 0o444)}],
        "ReadOnly": True,
        "CapabilityDrop": ["ALL"],
        "Init": True,
        "Ulimits": [{"Name": "nofile", "Soft": FILES, "Hard": FILES}, {"Name": "core", "Soft": 0, "Hard": 0}],
        "Healthcheck": {"Test": ["NONE"]},  # whatever the image has
        "StopSignal": server.stop_signal,
        "StopGracePeriod": server.stop_seconds * NANO,
    }
    body: dict[str, Any] = {
        "Name": called,
        "TaskTemplate": {
            "ContainerSpec": container,
            "Resources": {"Limits": limits, "Reservations": {}},
            "RestartPolicy": RESTARTS,
            "Placement": {"Constraints": [f"node.id=={node}"]},
            "Networks": [{"Target": "host"}],
            "LogDriver": {"Name": LOG["Type"], "Options": LOG["Config"]},
        },
        "Mode": {"Replicated": {"Replicas": 1}},
        "UpdateConfig": UPDATES,
        "RollbackConfig": UPDATES,
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    container["Labels"] = {SERVER: marks[SERVER], DIGEST: digest}
    return body | {"Labels": marks | {DIGEST: digest}}


def _file(name: str, owner: int = UID, mode: int = 0o400) -> dict[str, Any]:
    return {"Name": name, "UID": str(owner), "GID": str(owner), "Mode": mode}
