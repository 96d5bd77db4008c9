"""What the engine is told of one start of one dyno, and what can be read back from its labels after a restart of ours.

Labels carry ids and limits. Config is in the environment alone, a command in the command alone.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.drivers import environment
from engine.drivers.start import HARD
from engine.drivers.swarm import network
from engine.drivers.swarm.client import decoded
from engine.drivers.swarm.image import HOME, LAUNCHER, SLUG
from engine.spec import Attach, ProcessSpec, Size
from engine.stacks import CNB, launched

INSTANCE, DYNO, APP, START = "slipway.instance", "slipway.dyno", "slipway.app", "slipway.start"
SPARE = "slipway.spare-dyno"  # the label of what was started ahead, with its token
SPARE_PLACE = "/.slipway/spare"  # in its container: where it is told what to run
SPARE_SECONDS = 1800  # that it waits
FILES = 10_000
SHARES = 1024  # of a size: one core
NANO = 1_000_000_000
LOG = {"Type": "local", "Config": {"max-size": "20m", "max-file": "3", "compress": "false"}}
NO_LOG: dict[str, Any] = {"Type": "none", "Config": {}}
# Named one by one, since the engine's defaults pause and leave things lying. None of it ever comes to pass: a start
# that ends is the conductor's to repeat, as another service.
NO_UPDATES = {
    "Parallelism": 1,
    "Delay": 0,
    "FailureAction": "continue",
    "Monitor": 1_000_000,
    "MaxFailureRatio": 1,
    "Order": "stop-first",
}


@dataclass(frozen=True)
class Place:
    """Where a dyno runs and as whom."""

    instance: str
    image: str
    uid: int
    port: int | None
    cores: int  # of the machine
    tree: Path | None = None  # the slug's files, unless the image has the code
    only: str = ""  # the id of the one node that can run it
    publish: bool = False  # on a port of its node, since who asks may be on another


def labels(spec: ProcessSpec, place: Place) -> dict[str, str]:
    """By these a dyno is found again."""
    start: dict[str, Any] = {
        name: getattr(spec, name)
        for name in (
            "dyno",
            "web",
            "health_path",
            "boot_seconds",
            "stop_seconds",
            "one_off",
            "seconds",
            "stream",
        )
    }
    start |= {
        "memory": spec.size.memory,
        "port": place.port,
        "attached": bool(spec.attach),
        "published": place.publish,
    }
    return {
        INSTANCE: place.instance,
        DYNO: spec.id,
        APP: spec.app,
        START: json.dumps(start, separators=(",", ":")),
    }


@dataclass(frozen=True)
class Recalled:
    """A start that labels tell of: as much of its spec as matters once it runs, its port, and whether that is published."""

    spec: ProcessSpec
    port: int | None
    published: bool
    spare: str  # the token, if it was started ahead


def recall(found: Mapping[str, str]) -> Recalled | None:
    """What labels tell of a start. None for what is none of ours."""
    start = decoded(found.get(START, ""))
    if not start or DYNO not in found or APP not in found:
        return None
    try:
        memory, port = start.pop("memory"), start.pop("port")
        attach = Attach() if start.pop("attached") else None
        published = start.pop("published")
        size = Size(memory, SHARES)
        known: dict[str, Any] = {
            "id": found[DYNO],
            "app": found[APP],
            "command": "",
            "slug": "",
            "env": {},
            "slot": 0,
        }
        spec = ProcessSpec(**known, **start, size=size, attach=attach)
        return Recalled(spec, port, published, found.get(SPARE, ""))
    except (KeyError, TypeError):
        return None


def name(spec: ProcessSpec, instance: str) -> str:
    """One name per start, so that a second try finds the first. 63 characters are allowed."""
    digest = hashlib.sha256(f"{instance} {spec.id}".encode()).hexdigest()[:20]
    return f"slipway-{spec.dyno.replace('.', '-')[:30]}-{digest}".lower()


def spare_name(token: str) -> str:
    """That of a service that was started ahead."""
    return f"slipway-ahead-{token}"


def env(spec: ProcessSpec, place: Place) -> list[str]:
    """The environment, as the engine takes it."""
    tag = place.instance
    if spec.image:
        found = environment.own(spec, port=place.port, tag=tag)
    else:
        found = environment.environment(spec, home=HOME, tmpdir="/tmp", port=place.port, tag=tag)  # noqa: S108
    return [f"{key}={value}" for key, value in found.items()]


def env_digest(pairs: list[str]) -> str:
    """What two environments are compared by."""
    return hashlib.sha256("\0".join(sorted(pairs)).encode()).hexdigest()


def argv(spec: ProcessSpec) -> tuple[list[str] | None, list[str] | None]:
    """Entrypoint and arguments; None leaves an image's own."""
    if spec.image and spec.stack == CNB:
        return launched(spec.command), []
    if spec.image:
        return (["/bin/sh", "-c", spec.command], []) if spec.command else (None, None)
    options = [] if "HOSTNAME" in spec.env else ["--unset", "HOSTNAME"]
    if spec.attach and spec.attach.tty:
        options += ["--size", f"{spec.attach.lines}x{spec.attach.columns}"]
    return [LAUNCHER, *options, "--", *environment.command(spec)], []


def mounts(spec: ProcessSpec, place: Place) -> list[dict[str, Any]]:
    """The slug to read; a home and a temporary folder to write to, which go with the container; volumes, which stay."""
    volumes = [{"Type": "bind", "Source": path, "Target": path} for path in spec.volumes]
    if spec.image:
        return volumes
    slug = {"Type": "bind", "Source": str(place.tree), "Target": SLUG, "ReadOnly": True}
    return [
        *([slug] if place.tree else []),
        {"Type": "volume", "Target": HOME},
        {"Type": "volume", "Target": "/tmp"},  # noqa: S108
        *volumes,
    ]


def cpus(size: Size, cores: int) -> int:
    """Billionths of cores that a dyno may use: one at least, so that small sizes start as fast."""
    return int(min(max(size.cpu_shares / SHARES, 1), cores) * NANO)


def service(spec: ProcessSpec, place: Place) -> dict[str, Any]:
    """The body of a request for a service of one task that is never restarted or updated."""
    entry, arguments = argv(spec)
    container: dict[str, Any] = {
        "Image": place.image,
        "Env": env(spec, place),
        "Labels": labels(spec, place),
        "User": f"{place.uid}:{place.uid}",
        "Mounts": mounts(spec, place),
        "ReadOnly": not spec.image,
        "CapabilityDrop": ["ALL"],
        "Init": bool(spec.image),
        "StopSignal": "SIGTERM",
        "StopGracePeriod": int(spec.stop_seconds * NANO),
        "Ulimits": [{"Name": "nofile", "Soft": FILES, "Hard": FILES}, {"Name": "core", "Soft": 0, "Hard": 0}],
    }
    if entry is not None:
        container |= {"Command": entry, "Args": arguments}
    published = [
        {"Protocol": "tcp", "TargetPort": place.port, "PublishedPort": place.port, "PublishMode": "host"}
    ]
    return {
        "Name": name(spec, place.instance),
        "Labels": labels(spec, place),
        "TaskTemplate": {
            "ContainerSpec": container,
            "Resources": {"Limits": limits(spec, place), "Reservations": {}},
            "RestartPolicy": {"Condition": "none", "MaxAttempts": 0},
            "Placement": {"Constraints": [f"node.id=={place.only}"] if place.only else []},
            "Networks": [{"Target": network.name(place.instance)}],
            "LogDriver": {"Name": LOG["Type"], "Options": LOG["Config"]},
        },
        "Mode": {"Replicated": {"Replicas": 1}},
        "UpdateConfig": NO_UPDATES,
        "RollbackConfig": NO_UPDATES,
        "EndpointSpec": {"Mode": "dnsrr", "Ports": published if place.publish and place.port else []},
    }


def spare(spec: ProcessSpec, place: Place, token: str, folder: Path) -> dict[str, Any]:
    """The same for a service that waits to become a dyno like this one, told what to run in `folder`."""
    marks = {INSTANCE: place.instance, APP: spec.app, SPARE: token}
    slug = {"Type": "bind", "Source": str(folder), "Target": SPARE_PLACE, "ReadOnly": True}
    body = _frame(spec, place)
    made = body["TaskTemplate"]["ContainerSpec"]
    made |= {
        "Labels": marks,
        "Mounts": [slug, *made["Mounts"]],
        "Command": [LAUNCHER, "--wait", str(SPARE_SECONDS)],
        "Args": [],
    }
    return body | {"Name": spare_name(token), "Labels": marks}


def frame(spec: ProcessSpec, place: Place) -> str:
    """All that the engine is told of a start besides what it runs: two that agree in it can have the same container."""
    return json.dumps(_frame(spec, place), sort_keys=True)


def _frame(spec: ProcessSpec, place: Place) -> dict[str, Any]:
    body = service(replace(spec, env={}), replace(place, tree=None))
    made = body["TaskTemplate"]["ContainerSpec"]
    for each in ("Env", "Labels", "Command", "Args"):
        made.pop(each, None)
    return {key: value for key, value in body.items() if key not in ("Name", "Labels")}


def limits(spec: ProcessSpec, place: Place) -> dict[str, int]:
    """What a dyno may use, its first process included."""
    return {
        "NanoCPUs": cpus(spec.size, place.cores),
        "MemoryBytes": spec.size.memory * HARD,
        "Pids": spec.size.pids + 1,
    }


def container(spec: ProcessSpec, place: Place) -> dict[str, Any]:
    """The body of a request for the container of a one-off dyno."""
    entry, arguments = argv(spec)
    most = limits(spec, place)
    sits = bool(spec.attach)
    body: dict[str, Any] = {
        "Image": place.image,
        "Env": env(spec, place),
        "Labels": labels(spec, place),
        "User": f"{place.uid}:{place.uid}",
        "Tty": bool(spec.attach and spec.attach.tty),
        "OpenStdin": sits,
        "StdinOnce": sits,
        "AttachStdin": sits,
        "AttachStdout": sits,
        "AttachStderr": sits,
        "StopSignal": "SIGTERM",
        "HostConfig": {
            "NetworkMode": network.name(place.instance),
            "Mounts": mounts(spec, place),
            "ReadonlyRootfs": not spec.image,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Init": bool(spec.image),
            "RestartPolicy": {"Name": "no"},
            "NanoCpus": most["NanoCPUs"],
            "Memory": most["MemoryBytes"],
            "MemorySwap": most["MemoryBytes"],
            "PidsLimit": most["Pids"],
            "Ulimits": [
                {"Name": "nofile", "Soft": FILES, "Hard": FILES},
                {"Name": "core", "Soft": 0, "Hard": 0},
            ],
            "LogConfig": NO_LOG if sits else LOG,
        },
    }
    if entry is not None:
        body |= {"Entrypoint": entry, "Cmd": arguments}
    return body
