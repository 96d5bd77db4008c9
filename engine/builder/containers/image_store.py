"""Images of apps: on the engine, and in a registry that all its nodes pull from when there is one."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import docker.errors
import requests

from core.errors import BuildFailed, EngineError

APP = "slipway.app"  # the label that gives an image's app


class ImageStore:
    """Names and keeps images on the engine of `client`. `registry` (`registry.example.com:5000`) also gets each, so that
    other nodes can run it; `auth` is what to sign in with there. Apps may run the images called `shared` as the engine has
    them; any other they get from its registry or not at all, since what is on the engine may be somebody else's."""

    def __init__(
        self,
        client: Any,
        labels: dict[str, str],
        *,
        registry: str = "",
        auth: dict[str, str] | None = None,
        shared: Iterable[str] = (),
    ) -> None:
        self.client, self.labels, self.registry, self.auth = client, labels, registry, auth
        self.shared = frozenset(shared)

    def name(self, app: str, type: str, build: str) -> str:
        """The name for the image of one process type of one build."""
        return f"{self._names()}{app}:{type.lower().lstrip('-_')[:60] or 'x'}-{build}"[:250]

    def keep_as(self, image: str, name: str) -> str:
        """Make sure that nodes can run the image that the engine knows as `image` and we call `name`; returns what to call
        it from now on, which never means another image: its id, or its digest in the registry."""
        repository, _, tag = name.rpartition(":")
        try:
            if not self.client.api.tag(image, repository, tag, force=True):
                raise EngineError(f"The engine did not name the image {name}.")
            if not self.registry:
                return str(self.client.images.get(image).id)
            return self._pushed(repository, tag)
        except (docker.errors.DockerException, requests.RequestException) as fault:
            raise EngineError(f"The image could not be kept: {fault}"[:300]) from fault

    def pull(self, reference: str) -> Any:
        """Yields the progress of pulling an image. `BuildFailed` when there is none to be had."""
        repository, tag = _split(reference)
        try:
            for message in self.client.api.pull(repository, tag=tag, stream=True, decode=True):
                if "error" in message:
                    raise BuildFailed(f"{reference} was not pulled: {message['error']}"[:500])
                yield message
        except docker.errors.APIError as fault:
            if fault.status_code in (400, 404, 500):
                raise BuildFailed(f"{reference} was not pulled: {fault.explanation}"[:500]) from fault
            raise EngineError(f"{reference} was not pulled: {fault.explanation}"[:300]) from fault
        except (docker.errors.DockerException, requests.RequestException) as fault:
            raise EngineError(f"{reference} was not pulled: {fault}"[:300]) from fault

    def find(self, reference: str) -> Any:
        """The image that the engine has by that name; None without one."""
        try:
            return self.client.images.get(reference)
        except docker.errors.ImageNotFound:
            return None

    def keep(self, wanted: set[str], *, older_than: float) -> None:
        """Remove what we named and nobody runs any more: images that are not among `wanted`."""
        horizon = time.time() - older_than
        ours = {"label": [f"{name}={value}" for name, value in self.labels.items()]}
        for image in self.client.images.list(filters=ours):
            old = APP in image.labels and _seconds(image.attrs["Created"]) < horizon
            if old and not _is_wanted(image, wanted):
                self._remove(image.id)
        # Ready-made and pushed ones carry no label of ours, but a name; who else has a name for them keeps them.
        for image in self.client.images.list(filters={"reference": f"{self._names()}*"}):
            if not _is_wanted(image, wanted) and _seconds(image.attrs["Metadata"]["LastTagTime"]) < horizon:
                for name in (*image.tags, *image.attrs.get("RepoDigests", ())):
                    if name.startswith(self._names()):
                        self._remove(name)

    def _names(self) -> str:
        host = f"{self.registry}/" if self.registry else ""
        return f"{host}slipway/{self.labels['slipway.instance']}/app-"

    def _remove(self, image: str) -> None:
        try:
            self.client.images.remove(image, force=True)
        except docker.errors.APIError as fault:
            if fault.status_code not in (
                404,
                409,
            ):  # a container still runs it: the next round finds it again
                raise EngineError(f"The image could not be removed: {fault.explanation}") from fault

    def _pushed(self, repository: str, tag: str) -> str:
        digest = ""
        for message in self.client.api.push(
            repository, tag=tag, stream=True, decode=True, auth_config=self.auth
        ):
            if "error" in message:
                raise EngineError(f"The registry did not take the image: {message['error']}"[:300])
            digest = message.get("aux", {}).get("Digest", digest)
        if not digest:
            raise EngineError("The registry did not say what it keeps the image as.")
        return f"{repository}@{digest}"


def _is_wanted(image: Any, wanted: set[str]) -> bool:
    return bool({image.id, *image.attrs.get("RepoDigests", ())} & wanted)


def _split(reference: str) -> tuple[str, str]:
    """Repository, and tag or digest."""
    name, at, digest = reference.partition("@")
    if at:
        return name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name, digest
    head, _, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    return f"{head}/{last}" if head else last, tag if colon else "latest"


def _seconds(created: str) -> float:
    return datetime.fromisoformat(created[:19] + "+00:00").timestamp()
