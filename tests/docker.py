"""The Docker engine that tests drive: a real one, whose things they share with others and name after themselves.

`engine` is a session fixture of `tests/conftest.py`. Whatever a test makes carries the label `slipway.instance`, and only
what carries the test's own goes in the end: the machine's engine may be at work for somebody else too.
"""

import io
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

SOCKET = "unix:///var/run/docker.sock"
STACK = "slipway/stack:24"
LEAN = "slipway/test-lean:1"
# Two fifths of the stack, and most of its files, which nothing needs that tests run on engines of their own.
HEAVY = (
    "/usr/share/nodejs /usr/share/locale /usr/share/doc /usr/share/man /usr/lib/git-core /usr/include /usr/lib/*/*.a "
    "/usr/lib/*/libnode.so.* /usr/lib/*/gconv /var/lib/apt /var/cache"
)
LABEL = "slipway.instance"


@dataclass(frozen=True)
class Engine:
    """A Docker engine in Swarm mode that has the stack image, and a name among all its users for this test run."""

    url: str  # "unix:///var/run/docker.sock"
    client: Any  # a `docker.DockerClient`
    stack: str = STACK

    @property
    def engine_url(self) -> str:
        """What ENGINE_URL says to use it."""
        return f"swarm+{self.url}"

    def lean(self) -> str:
        """The name of an image like the stack's without what is large in it, for engines that it has to be brought to."""
        if not self.client.images.list(name=LEAN):
            lines = f"FROM {self.stack} AS whole\nRUN rm -rf {HEAVY}\nFROM scratch\nCOPY --from=whole / /\n"
            self.client.images.build(fileobj=io.BytesIO(lines.encode()), tag=LEAN)
        return LEAN

    def instance(self) -> str:
        """A fresh name, for the label of what one test makes."""
        return f"test-{secrets.token_hex(4)}"

    def remove(self, instance: str) -> None:
        """Remove all that carries the label of `instance`."""
        which = {"label": f"{LABEL}={instance}"}
        for service in self.client.services.list(filters=which):
            gone(service.remove)
        for container in self.client.containers.list(all=True, filters=which, ignore_removed=True):
            gone(lambda container=container: container.remove(force=True, v=True))
        for volume in self.client.volumes.list(filters=which):
            eventually_gone(volume.remove, used=409)
        for each in (*self.client.secrets.list(filters=which), *self.client.configs.list(filters=which)):
            gone(each.remove)
        for network in self.client.networks.list(names=[f"slipway-{instance}-"]):
            if network.name.endswith("-dynos"):  # made of another, and so without labels
                remove_named = (
                    self.client.api.remove_network
                )  # by its id only the node's share of it is found
                eventually_gone(lambda name=network.name: remove_named(name))
        for network in self.client.networks.list(filters=which):
            eventually_gone(network.remove)
        for image in self.client.images.list(filters=which):
            gone(lambda image=image: self.client.images.remove(image.id, force=True))
        for image in self.client.images.list(filters={"reference": f"slipway/{instance}/*"}):
            for name in image.tags:
                if f"/{instance}/" in name:
                    gone(lambda name=name: self.client.images.remove(name))


def gone(remove: Any) -> None:
    """Call `remove`; it is no error when somebody else did it, or is about to."""
    from docker.errors import APIError

    try:
        remove()
    except APIError as error:
        if error.status_code not in (404, 409) and "not found" not in str(error):
            raise


def eventually_gone(remove: Any, *, used: int = 403) -> None:
    """The same for what is still in use for a moment, which the engine tells by 400 or the status `used`."""
    from docker.errors import APIError

    deadline = time.monotonic() + 30
    while True:
        try:
            return remove() if used == 409 else gone(remove)
        except APIError as error:
            if error.status_code == 404:
                return None
            if error.status_code not in (400, used) or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def missing(part: str) -> None:
    """End the test: it can't run here. In CI, where everything has to be, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"absent: {part}")
    pytest.skip(f"absent: {part}")


def find(stack: str = STACK) -> Engine:
    """The engine at DOCKER_HOST or the usual socket, a Swarm of one node if it was in none."""
    import docker  # takes a third of a second, which other tests are spared
    from docker.errors import DockerException

    url = os.environ.get("DOCKER_HOST") or SOCKET
    try:
        client = docker.DockerClient(base_url=url, version="auto")
        if client.info()["Swarm"]["LocalNodeState"] != "active":
            client.swarm.init(advertise_addr="127.0.0.1", listen_addr="127.0.0.1:2377")
    except DockerException:
        missing(f"a Docker engine at {url} (apt-get install docker.io)")
    if not client.images.list(name=stack):
        missing(f"the image {stack} (bin/make-stack makes it)")
    return Engine(url, client, stack)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The engine, for the whole run."""
    found = find()
    yield found
    found.client.close()
