"""Puts a conductor together from the settings."""

import socket

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac

from addons.providers.embedded import servers
from apps.logs import store as logs
from conductor import status
from conductor.crew import Company, Crew, Lone
from conductor.loop import Conductor
from conductor.parts import NoRouter, Parts
from engine.drivers.local import LocalDriver
from engine.nodes import Machines
from engine.spec import Driver, Router
from releases.slugs import store as slugs


def compose(router: Router | None = None) -> Conductor:
    """A conductor on this machine's engine. Without a router, dynos run but nobody reaches them by host name."""
    return Conductor(
        Parts(
            _driver(),
            router or NoRouter(),
            logs(),
            slugs(),
            settings.DATA,
            servers=servers(),
            crew=_crew(),
            machines=_machines(),
        )
    )


def instance() -> str:
    """Whose the dynos on an engine are that others may use too: the same for all processes of this installation."""
    return f"slipway-{salted_hmac('conductor.instance', settings.APPS_HOST).hexdigest()[:10]}"


def _machines() -> Machines | None:
    """The machines of an engine that has several."""
    if settings.ENGINE_URL == "local:":
        return None
    from engine.swarm_nodes import SwarmMachines, url_of  # loads what the local engine has no use for

    return SwarmMachines(url_of(settings.ENGINE_URL), instance())


def _crew() -> Crew:
    """Whether others may conduct beside us."""
    return Company() if status.several() else Lone()


def _driver() -> Driver:
    """Where dynos run, as ENGINE_URL says."""
    if settings.ENGINE_URL != "local:":
        raise ImproperlyConfigured(
            f"ENGINE_URL is {settings.ENGINE_URL}; this version runs dynos as local processes only: set it to local:"
        )
    return LocalDriver(
        settings.DATA / "dynos",
        sink=logs(),
        tree=slugs().tree,
        instance=f"{socket.gethostname()}-{settings.PORT}",
        hide=[settings.DATA],
        ports=_ports(settings.DYNO_PORTS),
    )


def _ports(text: str) -> range:
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit() and 1024 <= int(first) <= int(last) < 65536):
        raise ImproperlyConfigured(
            f"SLIPWAY_DYNO_PORTS is {text}; write the first and the last, like 20000-29999"
        )
    return range(int(first), int(last) + 1)
