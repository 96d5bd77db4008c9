"""`build`: from source to the image that a builder's lifecycle makes of it.

The lifecycle gets the run image as a folder and leaves the app's as another: it needs no registry, no credentials and no
engine, so all its phases can run in one container, where the app's buildpacks find nothing that is not theirs to see.
"""

import io
import json
import shlex
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import BuildFailed, EngineError
from core.text import is_text
from engine.builder.containers.cnb import layout
from engine.builder.containers.cnb.builder import Builder
from engine.builder.containers.cnb.project import Project, order, read_project
from engine.builder.containers.cnb.room import KILLED, Room, Task
from engine.builder.containers.image_store import ImageStore
from engine.builder.containers.images import CACHE
from engine.builder.containers.place import TROUBLE, why
from engine.builder.context import NEVER_EXPORTED
from engine.builder.output import Output
from engine.builder.procfile import TYPE, read_app_json
from engine.builder.source import exclude
from engine.builder.spec import BuildResult, BuildSpec
from engine.builder.unpack import unpack

CREATOR = "/cnb/lifecycle/creator"
ORDER = "/cnb/slipway-order.toml"
APP, RUN = "slipway/app:build", "slipway/run:image"  # what we call them to the lifecycle
LAYOUT = "layout/index.docker.io"
BUILD_METADATA = "io.buildpacks.build.metadata"
SNAPSHOTTER = "io.containerd.snapshotter.v1"  # engines that keep images there
PURGE = "Clear the cache, if it comes again: heroku builds:cache:purge"


@dataclass(frozen=True)
class Parts:
    """What a build works with."""

    builder: Builder
    store: ImageStore
    room: Room
    output: Output
    env: Mapping[str, str]  # what leads to packages: the operator's


def build(spec: BuildSpec, parts: Parts, step: Callable[[str], None]) -> BuildResult:
    """Build the image; it is left on the engine, and in the registry if there is one. See `engine.builder.build`."""
    builder, output = parts.builder, parts.output
    root = spec.work / "build"
    root.mkdir()
    unpack(spec.source, root, max_bytes=spec.limits.unpacked_bytes, max_files=spec.limits.files)
    app_json, project = read_app_json(root), read_project(root)
    exclude(root, [".git", *project.exclude])
    step("detect")
    output.say(f"-----> Building with {builder.name} (Platform API {builder.api})")
    run_image = parts.store.find(builder.run_image)
    if run_image is None:
        raise EngineError(f"The run image {builder.run_image} has gone from the engine.")
    ordered = _order(spec, project, builder)
    files = spec.work / "files.tar"
    _write_files(files, root, spec, project, parts, layout.sparse(run_image.attrs), ordered)
    step("compile")
    task = Task(builder.image, _command(ordered), f"{builder.uid}:{builder.gid}", _env(parts), files)
    _judge(parts.room.run(task), builder)
    step("slug")
    made = _take(spec, parts, run_image.attrs["RootFS"]["Layers"])
    reference, size = _keep(spec, parts, made)
    types, buildpacks = _told(made, output)
    return BuildResult(reference[-71:], size, size, types, buildpacks, image=reference, app_json=app_json)


def _order(spec: BuildSpec, project: Project, builder: Builder) -> str:
    """An order of the app's own, in place of the builder's; "" without one."""
    wanted = [_named(name) for name in spec.buildpacks] or project.buildpacks
    return order(wanted, builder.buildpacks, builder.name) if wanted else ""


def _named(text: str) -> tuple[str, str]:
    """Id and version of a buildpack as it is set for an app."""
    if "://" in text:
        raise BuildFailed(
            f"{text[:200]} is a URL; on the stack cnb buildpacks are those within the builder, by their ids. Set them again: "
            "heroku buildpacks:set heroku/python, or heroku buildpacks:clear"
        )
    id, _, version = text.partition("@")
    return id, version


def _command(ordered: str) -> list[str]:
    options = {
        "-app": "/workspace",
        "-layers": "/layers",
        "-platform": "/platform",
        "-cache-dir": CACHE,
        "-layout-dir": "/layout",
        "-run-image": RUN,
        **({"-order": ORDER} if ordered else {}),
    }
    return [CREATOR, *(word for pair in options.items() for word in pair), "-layout", "-no-color", APP]


def _env(parts: Parts) -> dict[str, str]:
    """Of the lifecycle itself. It passes the ways to proxies on to buildpacks, and nothing else of it."""
    proxies = {name: value for name, value in parts.env.items() if name.lower().endswith("_proxy")}
    # An export to a folder counts as an experiment still.
    return {**proxies, "CNB_PLATFORM_API": parts.builder.api, "CNB_EXPERIMENTAL_MODE": "silent"}


def _write_files(
    into: Path,
    root: Path,
    spec: BuildSpec,
    project: Project,
    parts: Parts,
    run_image: Mapping[str, bytes],
    ordered: str,
) -> None:
    """What the lifecycle finds: the source, what the buildpacks are told, the run image, and folders to write to."""
    builder = parts.builder
    asked = {**project.env, **{name: value for name, value in spec.env.items() if name not in NEVER_EXPORTED}}
    of_ours = {name: value for name, value in parts.env.items() if not name.lower().endswith("_proxy")}
    with tarfile.open(into, "w", format=tarfile.PAX_FORMAT) as archive:
        writer = _Writer(archive, builder.uid, builder.gid)
        for folder in ("layers", "layout", "platform", "platform/env", CACHE.strip("/")):
            writer.folder(folder)
        archive.add(root, "workspace", filter=writer.owned)
        for name, value in asked.items():
            writer.file(f"platform/env/{name}", value.encode(), 0o400)
        for name, value in of_ours.items():
            writer.file(f"cnb/build-config/env/{name}", value.encode(), 0o444)
        if ordered:
            writer.file(ORDER.strip("/"), ordered.encode(), 0o444)
        for name, data in run_image.items():
            writer.file(f"{LAYOUT}/{RUN.replace(':', '/')}/{name}", data, 0o644)


class _Writer:
    """Writes entries that belong to the user who builds."""

    def __init__(self, archive: tarfile.TarFile, uid: int, gid: int) -> None:
        self.archive, self.uid, self.gid = archive, uid, gid
        self._folders: set[str] = set()

    def owned(self, entry: tarfile.TarInfo) -> tarfile.TarInfo:
        """The entry as the user's. Dynos run as another, and may write to the app's folders as they may on other stacks."""
        entry.uid, entry.gid, entry.uname, entry.gname = self.uid, self.gid, "", ""
        if entry.isdir():
            entry.mode = 0o777
        return entry

    def folder(self, name: str) -> None:
        """A folder of theirs to write to."""
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, self.uid, self.gid
        self.archive.addfile(entry)
        self._folders.add(name)

    def file(self, name: str, data: bytes, mode: int) -> None:
        """A file, with the folders that it needs; below `cnb` all is the builder's own and belongs to root."""
        parents = [str(each) for each in Path(name).parents][-2::-1]
        theirs = not name.startswith("cnb/")
        for parent in parents if theirs else ():
            if parent not in self._folders:
                self.folder(parent)
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), mode
        entry.uid, entry.gid = (self.uid, self.gid) if theirs else (0, 0)
        self.archive.addfile(entry, io.BytesIO(data))


def _judge(status: int, builder: Builder) -> None:
    """`BuildFailed` for a lifecycle that did not end well, in words for its exit status."""
    if status == 0:
        return
    has = ", ".join(sorted(builder.buildpacks)) or "none"
    words = {
        11: f"The lifecycle of {builder.name} does not speak Platform API {builder.api} after all.",
        12: f"A buildpack is for a Buildpack API that the lifecycle of {builder.name} does not speak.",
        20: f"No buildpack of {builder.name} says that this source is its own. Name one: heroku buildpacks:set ID, or in "
        f"project.toml. There is {has}.",
        21: "No group of buildpacks passed, and at least one failed to look at the source. See what it says above.",
        51: "A buildpack failed. See what it says above.",
        KILLED: "The build was killed. It may have used too much memory.",
    }
    phases = {
        2: "The lifecycle could not choose buildpacks.",
        3: f"The lifecycle could not read the run image {builder.run_image}.",
        4: f"The lifecycle could not use what it kept of the last build. {PURGE}",
        5: "The lifecycle could not run the buildpacks.",
        6: "The lifecycle could not make the image.",
    }
    reason = words.get(status) or phases.get(status // 10) or "The lifecycle failed. See what it says above."
    raise BuildFailed(f"{reason} (Exit status {status}.)"[:500])


def _take(spec: BuildSpec, parts: Parts, base: list[str]) -> layout.Made:
    with parts.room.archive(f"/{LAYOUT}/{APP.replace(':', '/')}") as pieces:
        return layout.take(pieces, spec.work / "image", base, most=spec.limits.disk_bytes)


def _keep(spec: BuildSpec, parts: Parts, made: layout.Made) -> tuple[str, int]:
    """Have the engine take the image in; returns what to call it from now on, and its size."""
    store = parts.store
    name, archive = store.name(spec.app, "web", spec.id), spec.work / "image.tar"
    try:
        with _base(spec, parts) as saved:
            layout.archive_of(made, name, layout.layers_of(saved) if saved else (), archive)
        with archive.open("rb") as file:
            for message in store.client.api.load_image(file):
                if "error" in message:
                    raise EngineError(f"The engine did not take the image: {message['error']}"[:300])
        image = store.client.images.get(name)
    except TROUBLE as fault:
        raise EngineError(f"The engine did not take the image: {why(fault)}") from fault
    size = int(image.attrs["Size"])
    if size > spec.limits.disk_bytes:
        raise BuildFailed(
            f"The image is {size / 2**20:,.0f} MB; the limit is {spec.limits.disk_bytes / 2**20:,.0f} MB."
        )
    parts.output.say(f"-----> Image: {size / 2**20:,.1f} MB with the run image")
    return store.keep_as(image.id, name), size


@contextmanager
def _base(spec: BuildSpec, parts: Parts) -> Iterator[BinaryIO | None]:
    """The run image as the engine saves it, for an engine that does not look for layers among those it has."""
    client = parts.store.client
    if SNAPSHOTTER not in [each[-1] for each in client.info().get("DriverStatus") or ()]:
        yield None
        return
    with tempfile.TemporaryFile(dir=spec.work) as file:
        for piece in client.images.get(parts.builder.run_image).save():
            file.write(piece)
        file.seek(0)
        yield file


def _told(made: layout.Made, output: Output) -> tuple[dict[str, str], list[str]]:
    """Process types with their commands, as people read them, and the buildpacks, as the image tells of both."""
    try:
        told = json.loads(made.labels[BUILD_METADATA])
        types = {str(each["type"]): _shown(each) for each in told.get("processes") or ()}
        buildpacks = [f"{each['id']}@{each['version']}"[:80] for each in told["buildpacks"]]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise BuildFailed("The image does not tell what runs from it.") from None
    for type in [type for type in types if not TYPE.fullmatch(type)]:
        output.say(f" !     {type[:80]!r} is left out: a process type has letters, digits, - and _.")
        del types[type]
    if not types:
        output.say(
            " !     The buildpacks have named no process types, so nothing runs. A Procfile can, where one reads it."
        )
    return types, buildpacks


def _shown(told: Mapping[str, Any]) -> str:
    """A process's command. Newer buildpacks give a list; without a shell, each part is one word."""
    command, given = told.get("command") or "", [str(each) for each in told.get("args") or ()]
    words = [str(each) for each in command] if isinstance(command, list) else [str(command)]
    if not told.get("direct") and len(words) == 1:
        text = " ".join([words[0], *(shlex.quote(each) for each in given)])
    else:
        text = shlex.join([*words, *given])
    if not text.strip() or not is_text(text) or len(text) > 10_000:
        raise BuildFailed(f"The process type {str(told.get('type'))[:80]} has a command that cannot be run.")
    return text
