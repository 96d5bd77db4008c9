"""From a source with Dockerfiles, or from the name of a ready-made image, to images that dynos can run."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from core.errors import BuildFailed, EngineError, Refusal
from engine.builder.containers.context import write_context
from engine.builder.containers.dockerfiles import ImageBuild, Request
from engine.builder.containers.heroku_yml import Manifest, Recipe, read_manifest
from engine.builder.containers.image_store import APP, ImageStore
from engine.builder.output import Output
from engine.builder.procfile import read_app_json
from engine.builder.spec import BuildCancelled, BuildResult, BuildSpec
from engine.builder.unpack import unpack
from engine.outbound import Outbound


def build_all(
    spec: BuildSpec, work: ImageBuild, store: ImageStore, output: Output, step: Callable[[str], None]
) -> BuildResult:
    """Build every image that the source asks for."""
    root = spec.work / "build"
    root.mkdir()
    unpack(spec.source, root, max_bytes=spec.limits.unpacked_bytes, max_files=spec.limits.files)
    app_json = read_app_json(root)
    step("detect")
    manifest = read_manifest(root)
    step("compile")
    made: dict[Recipe, str] = {}
    refs = {}
    for type, recipe in manifest.recipes.items():
        output.say(f"=== Building {type} ({recipe.dockerfile})")
        name = store.name(spec.app, type, spec.id)
        if recipe not in made:
            made[recipe] = _build_one(spec, recipe, manifest, work, store, name)
        output.finish()
        refs[type] = store.keep_as(made[recipe], name)
    step("slug")
    kind = "heroku.yml" if (root / "heroku.yml").is_file() else "Dockerfile"
    sizes = sum(int(store.find(image).attrs["Size"]) for image in set(made.values()))
    result = _result(
        manifest.commands, {t: refs[manifest.image_of.get(t, t)] for t in manifest.commands}, sizes, kind
    )
    return replace(result, app_json=app_json)


def pulled(
    spec: BuildSpec, store: ImageStore, output: Output, cancelled: Callable[[], bool], outbound: Outbound
) -> BuildResult:
    """Take a ready-made image in."""
    if spec.image in store.shared and store.find(spec.image):
        output.say(f"-----> Using {spec.image}, which the engine has")
    else:
        output.say(f"-----> Pulling {spec.image}")
        _check_registry(spec.image, outbound)
        seen: set[str] = set()
        for message in store.pull(spec.image):
            if cancelled():
                raise BuildCancelled
            _show_pull(message, seen, output)
    image = store.find(spec.image)
    if image is None:
        raise BuildFailed(f"{spec.image} was not pulled.")
    ref = store.keep_as(image.id, store.name(spec.app, "web", spec.id))
    output.say(f"       {image.id}")
    return _result({"web": ""}, {"web": ref}, int(image.attrs["Size"]), "image")


def _check_registry(image: str, outbound: Outbound) -> None:
    """Refuse registries at internal addresses, as for any request that users cause. A name without a host is Docker Hub's."""
    host, slash, _ = image.partition("/")
    if not slash or not (set(".:") & set(host) or host == "localhost"):
        return
    try:
        outbound.check(f"https://{host}/", schemes=("https",))
    except (Refusal, EngineError) as fault:
        raise BuildFailed(f"{image} was not pulled: {fault}") from fault


def _build_one(
    spec: BuildSpec, recipe: Recipe, manifest: Manifest, work: ImageBuild, store: ImageStore, name: str
) -> str:
    path = PurePosixPath(recipe.dockerfile)
    context = spec.work / "context.tar"
    write_context(spec.work / "build" / path.parent, path.name, context)
    request = Request(
        context, path.name, recipe.target, manifest.arguments, {**store.labels, APP: spec.app}, name
    )
    image = work.run(request)
    size = int(store.find(image).attrs["Size"])
    if size > spec.limits.disk_bytes:
        raise BuildFailed(
            f"The image is {size / 2**20:,.0f} MB; the limit is {spec.limits.disk_bytes / 2**20:,.0f} MB."
        )
    return image


def _result(commands: Mapping[str, str], refs: Mapping[str, str], size: int, kind: str) -> BuildResult:
    main = refs.get("web") or next(iter(refs.values()))
    others = {type: ref for type, ref in refs.items() if ref != main}
    digest = main[-71:]  # "sha256:" and 64 digits
    if others:
        digest = "sha256:" + hashlib.sha256(repr(sorted(refs.items())).encode()).hexdigest()
    return BuildResult(digest, size, size, dict(commands), [kind], image=main, images=others)


def _show_pull(message: Mapping[str, Any], seen: set[str], output: Output) -> None:
    """The turning points of a layer's progress, each once."""
    status = str(message.get("status", ""))
    if status in ("Downloading", "Extracting", "Waiting", "Verifying Checksum"):
        return
    line = f"{message['id']}: {status}" if message.get("id") else status
    if line not in seen:
        seen.add(line)
        output.say(f"       {line}")
