"""Where a dyno finds its code: bound from the platform's own folder, or in an image that any node can fetch.

On one node a slug is mounted as it lies unpacked, and no image is made. With more nodes it is put on top of the run image,
as one layer that all its dynos share, and pushed to the registry once; a node that lacks it fetches that layer alone.
"""

import tarfile
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.drivers.swarm.client import Client
from engine.drivers.swarm.image import SLUG, run_image
from engine.spec import ProcessSpec

REPOSITORY, BASE = "slipway/slug", "slipway/run"
IN_MEMORY = 32 * 1024 * 1024  # bytes of an archive that need no file


@dataclass(frozen=True)
class Code:
    """What a dyno runs: an image, and the slug's files beside it unless they are inside."""

    image: str
    tree: Path | None = None
    here: bool = False  # only the platform's own node has it


class Slugs:
    """Finds the code of a start. `images` are the stacks', `several` tells whether there is more than one node, `registry`
    (`host:port`, or nothing) is where all nodes fetch images from. For any thread; takes its time when it has to push."""

    def __init__(
        self,
        client: Client,
        *,
        tree: Callable[[str], Path],
        images: Mapping[str, str],
        several: Callable[[], bool],
        registry: str = "",
    ) -> None:
        self._client, self._tree, self._images = client, tree, images
        self._several, self._registry = several, registry
        self._pushed: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def code(self, spec: ProcessSpec) -> Code:
        """What `spec` runs. One-off dynos are always on the platform's own node."""
        anywhere = not spec.one_off and self._several()
        if spec.image:
            if not self._registry:
                return Code(self._client.image(spec.image), here=True)
            if spec.one_off or not self._several():  # what was pushed for it may not be on this node yet
                ours = spec.image.startswith(f"{self._registry}/")
                return Code(self._client.image(spec.image, ours=ours))
            return Code(spec.image)
        base = run_image(self._client, self._images.get(spec.stack) or next(iter(self._images.values())))
        if anywhere and self._registry:
            return Code(self._in_registry(spec.slug, base))
        return Code(base, self._tree(spec.slug), here=anywhere)

    def anywhere(self) -> str:
        """The reference of a stack's image that every node can fetch. Only with a registry."""
        base = run_image(self._client, next(iter(self._images.values())))
        name, tag = f"{self._registry}/{BASE}", base.removeprefix("sha256:")[:16]
        with self._lock:
            if (BASE, base) not in self._pushed:
                self._client.tag(base, name, tag)
                self._pushed[BASE, base] = self._client.push(name, tag)
            return self._pushed[BASE, base]

    def _in_registry(self, slug: str, base: str) -> str:
        """The reference, by digest, of the image of a slug on a run image."""
        with self._lock:  # two dynos of a release start at once, and one push is enough
            if (slug, base) not in self._pushed:
                self._pushed[slug, base] = self._push(slug, base)
            return self._pushed[slug, base]

    def _push(self, slug: str, base: str) -> str:
        name = f"{self._registry}/{REPOSITORY}"
        tag = f"{slug.removeprefix('sha256:')[:32]}-{base.removeprefix('sha256:')[:16]}"
        if not self._client.has_image(f"{name}:{tag}"):
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as archive:
                with tarfile.open(fileobj=archive, mode="w") as tar:
                    tar.add(self._tree(slug), SLUG.strip("/"), filter=_owned_by_root)
                archive.seek(0)
                self._client.amend(base, archive, (name, tag))
        return self._client.push(name, tag)


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
