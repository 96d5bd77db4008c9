"""Servers of add-ons as services of the Docker engine, from an image with Debian's programs.

No registry is asked for that image: it is the stack's with packages from where that has its own, made once for an engine.
"""

import tempfile
from pathlib import Path
from typing import Any

import pytest

from addons import mails
from addons.providers import embedded
from engine.servers.swarm import SwarmServers
from tests.docker import STACK, Engine, engine  # noqa: F401
from tests.servers import FAST

IMAGE = "slipway/test-servers:1"
KINDS = ("postgresql", "valkey", "memcached")
PACKAGES = "postgresql redis-server memcached sasl2-bin libsasl2-modules"
INSTALL = f"apt-get -qq update && apt-get -qq install -y --no-install-recommends {PACKAGES} && rm -rf /var/lib/apt/lists/*"
PORTS = range(18000, 18900)


def image_on(engine: Engine) -> str:  # noqa: F811
    """The image with all three kinds."""
    if not engine.client.images.list(name=IMAGE):
        made = engine.client.containers.create(
            STACK,
            ["bash", "-euc", INSTALL],
            network_mode="host",
            environment={"DEBIAN_FRONTEND": "noninteractive"},
        )
        try:
            made.start()
            if made.wait(timeout=600)["StatusCode"]:
                pytest.fail(made.logs(tail=20).decode())
            repository, _, tag = IMAGE.partition(":")
            made.commit(repository, tag)
        finally:
            made.remove(force=True)
    return IMAGE


class Lives:
    """Lives of a platform whose servers are services, on one data folder."""

    def __init__(self, engine: Engine, root: Path) -> None:  # noqa: F811
        self.engine, self.root, self.instance = engine, root, engine.instance()
        self.images = dict.fromkeys(KINDS, image_on(engine))
        self.begun: list[SwarmServers] = []

    def next(self, **changes: Any) -> SwarmServers:
        """A process that has just begun."""
        self.begun.append(
            SwarmServers(
                self.root,
                url=self.engine.url,
                instance=self.instance,
                images=self.images,
                ports=PORTS,
                settings=FAST,
                post=mails.Inboxes(),
                **changes,
            )
        )
        return self.begun[-1]

    def service(self, kind: str):
        """What the engine tells of the only service of a kind."""
        (found,) = [
            each
            for each in self.engine.client.services.list(
                filters={"label": f"slipway.instance={self.instance}"}
            )
            if each.attrs["Spec"]["Labels"]["slipway.server"].startswith(f"{kind}/")
        ]
        return found

    def end(self) -> None:
        """Remove all that was made."""
        for servers in self.begun:
            servers.stop()
        self.engine.remove(self.instance)


@pytest.fixture(scope="module")
def lives(engine):  # noqa: F811
    """One platform for the tests of a file."""
    with tempfile.TemporaryDirectory(prefix="slipway-databases-") as folder:
        found = Lives(engine, Path(folder) / "servers")
        yield found
        found.end()


@pytest.fixture
def services(lives, monkeypatch, settings):
    """What `embedded.servers()` answers on a Docker engine."""
    settings.ENGINE_URL = lives.engine.engine_url
    found = lives.next()
    monkeypatch.setattr(embedded, "servers", lambda: found)
    return found
