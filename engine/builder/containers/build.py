"""`ContainerBuilder`: builds like `engine.builder.build`, in containers.

All goes through the engine's API, so the engine may be on another machine. The builder within is the same as without
containers; what differs is the walls.
"""

import io
import logging
import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import docker.errors

from core.errors import BuildFailed, EngineError
from engine.builder.buildpacks import Finder
from engine.builder.child import judge
from engine.builder.containers.box import Box
from engine.builder.containers.cnb.build import Parts
from engine.builder.containers.cnb.build import build as build_by_buildpacks
from engine.builder.containers.cnb.builder import find as find_builder
from engine.builder.containers.cnb.room import Room
from engine.builder.containers.dockerfiles import BUILDKIT, ImageBuild
from engine.builder.containers.image_store import ImageStore
from engine.builder.containers.images import CACHE, UV, WORK, BuilderImages
from engine.builder.containers.made import build_all, pulled
from engine.builder.containers.place import BUILD, CACHE_OF, SPARE, TROUBLE, Place, build_of, remove
from engine.builder.containers.spares import Spares
from engine.builder.output import Output
from engine.builder.run import PATH, store_slug
from engine.builder.slugs import SlugStore
from engine.builder.spec import BuildCancelled, BuildResult, BuildSpec
from engine.outbound import Outbound
from engine.stacks import CNB, CONTAINER, build_image

log = logging.getLogger(__name__)

ENDING_SECONDS = 10.0
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
# What builds get of the platform's environment: what leads to packages. Paths would lead nowhere in a container.
PASSED = (
    "HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy PIP_INDEX_URL UV_DEFAULT_INDEX NPM_CONFIG_REGISTRY "
    "npm_config_registry TZ"
)
RESOLVERS = ["sh", "-c", "cat /etc/resolv.conf"]
NETWORK_OPTIONS = {"com.docker.network.bridge.enable_icc": "false"}  # builds can't reach each other


class ContainerBuilder:
    """A place to build in on the Docker engine of `client`. All that it makes there carries the label
    `slipway.instance` with `instance`. `open_to` are internal networks and addresses that builds may reach; `registry`,
    `registry_auth`, `shared_images` and `dockerfiles` (BUILDKIT or CLASSIC) say how images are made and kept: see `ImageStore`;
    `cnb_builder` is the builder image of Cloud Native Buildpacks, "" for none.
    `spares` containers wait at most for the next builds of the apps built last. They are made `pause` seconds after a build,
    when its own goes."""

    def __init__(
        self,
        client: Any,
        *,
        instance: str,
        run_image: str,
        env: dict[str, str],
        open_to: Iterable[str] = (),
        registry: str = "",
        registry_auth: dict[str, str] | None = None,
        shared_images: Iterable[str] = (),
        dockerfiles: str = BUILDKIT,
        cnb_builder: str = "",
        spares: int = 0,
        pause: float = 0.0,
    ) -> None:
        self._client, self._run_image, self._env = client, run_image, env
        self._instance, self._open_to = instance, list(open_to)
        self._labels = {"slipway.instance": instance}
        self._images = BuilderImages(client, self._labels)
        self._lock = threading.Lock()
        self._network = ""
        self._resolvers: list[str] = []
        self._cores = 1
        self._store = ImageStore(
            client, self._labels, registry=registry, auth=registry_auth, shared=shared_images
        )
        self._dockerfiles, self._cnb_builder = dockerfiles, cnb_builder
        self._spares = Spares(client, most=spares, pause=pause)

    def __call__(
        self,
        spec: BuildSpec,
        *,
        slugs: SlugStore,
        write: Callable[[bytes], None],
        cancelled: Callable[[], bool],
        step: Callable[[str], None] = lambda name: None,
        outbound: Outbound | None = None,
        buildpacks: Path | None = None,
    ) -> BuildResult:
        """Build `spec` and put the slug in the store: see `engine.builder.build`. On the stacks `container` and `cnb` images
        are built, or pulled, and left on the engine."""
        output = Output(write, spec.env, spec.limits.output_bytes)
        step("fetch")
        shutil.rmtree(spec.work, ignore_errors=True)
        try:
            spec.work.mkdir(parents=True)
            if spec.image:
                return pulled(spec, self._store, output, cancelled, outbound or Outbound())
            if spec.stack == CONTAINER:
                return self._build_images(spec, output, cancelled, step)
            if spec.stack == CNB:
                return self._build_by_buildpacks(spec, output, cancelled, step)
            packs = Finder(outbound or Outbound(), buildpacks, spec.work, cancelled).find(spec.buildpacks)
            if cancelled():
                raise BuildCancelled
            done = self._build_slug(spec, packs, output, cancelled, step)
            return store_slug(spec, done, slugs, output)
        except OSError as fault:
            raise EngineError(f"The build could not go on: {fault.strerror or fault}.") from fault
        finally:
            shutil.rmtree(spec.work, ignore_errors=True)

    def _build_slug(
        self,
        spec: BuildSpec,
        packs: list[dict[str, str]],
        output: Output,
        cancelled: Callable[[], bool],
        step: Callable[[str], None],
    ) -> dict[str, Any]:
        place = self._place(spec)
        job, files = self._job(spec, packs)
        box = Box(self._client, spec, output, cancelled, self._spares)
        try:
            return judge(box.run(place, job, files, spec.work / "slug.tar.zst", step))
        finally:
            if not spec.test:  # of what is tested, another build is not likely
                self._spares.order(place)

    def _build_images(
        self, spec: BuildSpec, output: Output, cancelled: Callable[[], bool], step: Callable[[str], None]
    ) -> BuildResult:
        try:
            self._make_network()
        except TROUBLE as fault:
            raise EngineError(f"The Docker engine did not make room for the build: {fault}") from fault
        work = ImageBuild(
            self._client,
            builder=self._dockerfiles,
            network=self._network,
            limits=spec.limits,
            output=output,
            cancelled=cancelled,
        )
        return build_all(spec, work, self._store, output, step)

    def _build_by_buildpacks(
        self, spec: BuildSpec, output: Output, cancelled: Callable[[], bool], step: Callable[[str], None]
    ) -> BuildResult:
        if not self._cnb_builder:
            raise BuildFailed(
                "There is no builder for the stack cnb any more. Set another stack, or have the operator set "
                "SLIPWAY_CNB_BUILDER."
            )
        builder = find_builder(self._store, self._cnb_builder, output.say)
        place = self._place(spec)
        # Of the builder's user, and so no other builder's or stack's.
        place = replace(place, volume=f"{place.volume}-cnb-{builder.uid}")
        with Room(self._client, spec, place, output, cancelled, self._doors()) as room:
            return build_by_buildpacks(spec, Parts(builder, self._store, room, output, self._env), step)

    def sweep(self, running: Iterable[str]) -> None:
        """Remove the containers of builds that are not among `running`, and images that older code has made to build in.
        What an engine that is away keeps goes next time."""
        alive = set(running)
        filters = {"label": [f"slipway.instance={self._instance}", BUILD]}
        with _patience():
            for found in self._client.api.containers(all=True, filters=filters):
                if build_of(found) not in alive:
                    remove(self._client, found["Id"])
            for found in self._spare_ones():
                if build_of(found) not in alive and (build_of(found) or self._spares.is_left(found)):
                    remove(self._client, found["Id"])
            self._images.drop_old()

    def keep(self, caches: Iterable[str], images: Iterable[str], *, older_than: float) -> None:
        """Remove what is `older_than` seconds old of caches but those of these names, and of images that are not among
        `images`, as `BuildResult` names them. What an engine that is away keeps goes next time."""
        alive, horizon = set(caches), time.time() - older_than
        for cache in set(self._spares.caches()) - alive:
            self._spares.drop(cache)
        filters = {"label": [f"slipway.instance={self._instance}", CACHE_OF]}
        with _patience():
            for found in self._client.api.volumes(filters=filters)["Volumes"] or ():
                made = datetime.fromisoformat(found["CreatedAt"]).timestamp()
                if found["Labels"][CACHE_OF] not in alive and made < horizon:
                    self.forget(found["Labels"][CACHE_OF])
            self._store.keep(set(images), older_than=older_than)

    def forget(self, cache: str) -> None:
        """Remove a cache, and what waits to build with it. The container of a build that has just ended may hold it for a
        moment yet."""
        end = time.monotonic() + ENDING_SECONDS
        while True:
            self._spares.drop(cache)
            for found in self._spare_ones(cache):  # other conductors have some, too
                if not build_of(found):
                    remove(self._client, found["Id"])
            try:
                for name in self._volumes(cache):
                    self._client.api.remove_volume(name, force=True)
                return
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as fault:
                if fault.status_code != 409 or time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def close(self) -> None:
        """End what waits for builds."""
        self._spares.close()

    def _spare_ones(self, cache: str = "") -> list[dict[str, Any]]:
        """Containers of the engine that are spare, or were: all, or those with one cache."""
        which = [f"slipway.instance={self._instance}", f"{SPARE}={cache}" if cache else SPARE]
        found: list[dict[str, Any]] = self._client.api.containers(all=True, filters={"label": which})
        return found

    def _place(self, spec: BuildSpec) -> Place:
        try:
            image = self._images.of(build_image(self._run_image))
            self._make_network()
            if spec.fresh:
                self.forget(spec.cache.name)
        except TROUBLE as fault:
            raise EngineError(f"The Docker engine did not make room for the build: {fault}") from fault
        limits = spec.limits
        return Place(
            cache=spec.cache.name,
            image=image,
            network=self._network,
            volume=self._volume(spec.cache.name),
            cpus=min(limits.cpus, self._cores),
            memory=limits.memory,
            processes=limits.processes,
            labels=self._labels,
        )

    def _volumes(self, cache: str) -> list[str]:
        """The volumes that a cache has: one for slugs, another for the stack cnb."""
        filters = {"label": [f"slipway.instance={self._instance}", f"{CACHE_OF}={cache}"]}
        return [found["Name"] for found in self._client.api.volumes(filters=filters)["Volumes"] or ()]

    def _doors(self) -> list[str]:
        """What builds may reach of what fences keep them from."""
        return [*self._resolvers, *self._open_to]

    def _volume(self, cache: str) -> str:
        return f"slipway-{self._instance}-cache-{cache}"

    def _make_network(self) -> None:
        with self._lock:
            if self._network:
                return
            name = f"slipway-{self._instance}-builds"
            if not self._client.networks.list(names=[f"^{name}$"]):
                self._client.networks.create(
                    name,
                    driver="bridge",
                    check_duplicate=True,
                    options=NETWORK_OPTIONS,
                    labels=self._labels,
                )
            self._resolvers = self._find_resolvers()
            self._cores = int(self._client.info().get("NCPU", 1))
            self._network = name

    def _find_resolvers(self) -> list[str]:
        """The name servers that the engine gives containers; they are often at private addresses."""
        said = self._client.containers.run(self._run_image, RESOLVERS, remove=True, labels=self._labels)
        lines = (line.split() for line in said.decode("utf-8", "replace").splitlines())
        found = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
        return [one for one in found if not one.startswith("127.")]

    def _job(self, spec: BuildSpec, packs: list[dict[str, str]]) -> tuple[dict[str, Any], list[Path]]:
        files = [(f"{WORK}/source.tar", spec.source)]
        told = []
        for number, pack in enumerate(packs):
            if "folder" in pack or "archive" in pack:
                path = f"{WORK}/buildpack-{number}.tar"
                local = (
                    Path(pack["archive"])
                    if "archive" in pack
                    else _packed(Path(pack["folder"]), spec, number)
                )
                files.append((path, local))
                pack = {"name": pack["name"], "archive": path}
            told.append(pack)
        env = {**self._env, "PATH": ":".join(PATH), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        job = {
            "stack": spec.stack,
            "buildpacks": told,
            "command": spec.command,
            "test": spec.test,
            "config": dict(spec.env),
            "env": {**env, "SSL_CERT_FILE": AUTHORITIES, "NODE_EXTRA_CA_CERTS": AUTHORITIES},
            "work": WORK,
            "cache": CACHE,
            "slug": f"{WORK}/slug.tar.zst",
            "limits": asdict(spec.limits),
            "uv": UV,
            "search": list(PATH),
            "as_other": False,
            "walls": {"namespaces": True},
            "files": [(path, local.stat().st_size) for path, local in files],
            "open_to": self._doors(),
        }
        return job, [local for _, local in files]


@contextmanager
def _patience() -> Iterator[None]:
    """Trouble of the engine is told to the operator's log, and no more."""
    try:
        yield
    except (*TROUBLE, EngineError) as fault:
        log.warning("The Docker engine was not tidied up: %s", fault)


def _packed(folder: Path, spec: BuildSpec, number: int) -> Path:
    """The operator's buildpack as an archive: the container does not see the platform's files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(folder, arcname=".", filter=_plain)
    path = spec.work / f"folder-{number}.tar"
    path.write_bytes(out.getvalue())
    return path


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return entry if entry.isreg() or entry.isdir() or entry.issym() else None
