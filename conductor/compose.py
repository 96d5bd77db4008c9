"""Puts a conductor together from the settings."""

import os
import socket
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from addons.providers.embedded import servers
from apps.logs import store as logs
from apps.stacks import instance as instance
from ci.sieve import Sieve
from conductor import status
from conductor.crew import Company, Crew, Lone
from conductor.duty import OnDuty
from conductor.loop import Conductor
from conductor.parts import NoRouter, Parts
from engine.builder import build
from engine.builder.ahead import Ahead
from engine.drivers.local import LocalDriver
from engine.nodes import Machines
from engine.outbound import is_network
from engine.spec import Driver, Router
from engine.tally import Tally
from releases.slugs import store as slugs

if TYPE_CHECKING:
    from engine.builder.containers.build import ContainerBuilder

PAUSE = 5.0  # seconds that what a build or a release has made has for itself, before another is started ahead
LAST_LINES = 200  # more than come within a microsecond


def compose(router: Router | None = None, tally: Tally | None = None) -> Conductor:
    """A conductor on this machine's engine. Without a router, dynos run but nobody reaches them by host name. `tally` is
    where the router counts."""
    builder, ahead = _builder(), _ahead()
    crew = _crew()
    return Conductor(
        Parts(
            OnDuty(_driver) if crew.shared else _driver(),
            router or NoRouter(),
            logs(),
            slugs(),
            settings.DATA,
            build=builder or partial(build, ahead=ahead),
            ahead=ahead,
            leftovers=builder,
            servers=servers(),
            crew=crew,
            machines=_machines(),
            tally=tally or Tally(),
        )
    )


def _machines() -> Machines | None:
    """The machines of an engine that has several."""
    if settings.ENGINE_URL == "local:":
        return None
    from engine.swarm_nodes import SwarmMachines, url_of  # loads what the local engine has no use for

    return SwarmMachines(url_of(settings.ENGINE_URL), instance())


def _ahead() -> Ahead | None:
    """Where the platform builds beside itself: what has the next build's process ready."""
    beside = settings.ENGINE_URL == "local:" and settings.SPARE_BUILDS > 0
    return Ahead(PAUSE) if beside else None


def _builder() -> "ContainerBuilder | None":
    """Who builds in containers, when dynos run in such; None where the platform builds beside itself."""
    if settings.ENGINE_URL == "local:":
        return None
    import docker

    from engine.builder.containers.build import PASSED, ContainerBuilder
    from engine.swarm_nodes import url_of

    return ContainerBuilder(
        docker.DockerClient(base_url=url_of(settings.ENGINE_URL), version="1.41", timeout=60),
        instance=instance(),
        run_image=settings.STACK_IMAGE,
        env={name: os.environ[name] for name in PASSED.split() if name in os.environ},
        open_to=[entry for entry in settings.OUTBOUND_ALLOW if is_network(entry)],
        dockerfiles=settings.DOCKERFILE_BUILDER,
        cnb_builder=settings.CNB_BUILDER,
        registry=settings.REGISTRY,
        registry_auth=_registry_sign_in(),
        shared_images=settings.SHARED_IMAGES,
        spares=settings.SPARE_BUILDS,
        pause=PAUSE,
    )


def _crew() -> Crew:
    """Whether others may conduct beside us."""
    return Company() if status.several() else Lone()


def _driver() -> Driver:
    """Where dynos run, as ENGINE_URL says."""
    if settings.ENGINE_URL.startswith("swarm+"):
        return _swarm_driver()
    if settings.ENGINE_URL != "local:":
        raise ImproperlyConfigured(
            f"ENGINE_URL is {settings.ENGINE_URL}; set it to local: or to swarm+unix:///var/run/docker.sock"
        )
    return LocalDriver(
        settings.DATA / "dynos",
        sink=Sieve(logs()),
        tree=slugs().tree,
        instance=f"{socket.gethostname()}-{settings.PORT}",
        hide=[settings.DATA],
        ports=_ports(settings.DYNO_PORTS),
    )


def _swarm_driver() -> Driver:
    """The Docker engine that ENGINE_URL names behind its plus."""
    from engine.drivers.swarm import SwarmDriver  # loads what the local engine has no use for
    from engine.swarm_nodes import url_of

    return SwarmDriver(
        url_of(settings.ENGINE_URL),
        sink=Sieve(logs()),
        tree=slugs().tree,
        instance=instance(),
        images={"slipway-24": settings.STACK_IMAGE},
        last=_last_line,
        ports=_ports(settings.DYNO_PORTS),
        registry=settings.REGISTRY,
        registry_sign_in=_registry_sign_in(),
        node_port=settings.NODE_PORT,
        spare_folder=settings.DATA / "spares",
        spares=settings.SPARE_DYNOS,
        pause=PAUSE,
    )


def _registry_sign_in() -> dict[str, str] | None:
    """Name and password for the registry, if it wants any."""
    user, _, password = settings.REGISTRY_AUTH.partition(":")
    return {"username": user, "password": password} if user else None


def _last_line(stream: str, dyno: str) -> tuple[float, int]:
    """The time of the last line of a dyno's in the log store, and how many have that time."""
    found = [entry.line.at for entry in logs().tail(stream, LAST_LINES, source="app", dyno=dyno)]
    return (found[-1], found.count(found[-1])) if found else (0.0, 0)


def _ports(text: str) -> range:
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit() and 1024 <= int(first) <= int(last) < 65536):
        raise ImproperlyConfigured(
            f"SLIPWAY_DYNO_PORTS is {text}; write the first and the last, like 20000-29999"
        )
    return range(int(first), int(last) + 1)
