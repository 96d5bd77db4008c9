"""`build`: from an archive of source to a slug in the store."""

import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import BuildFailed, EngineError
from engine.builder.ahead import Ahead, launch
from engine.builder.buildpacks import Finder
from engine.builder.child import Child, essentials
from engine.builder.interpreters import closed_ancestor, installed, reachable, search_folders
from engine.builder.output import Output
from engine.builder.procfile import TYPE
from engine.builder.slugs import SlugStore
from engine.builder.spec import BuildCancelled, BuildResult, BuildSpec
from engine.outbound import Outbound

FIRST_UID = 30_000  # an app's builds and dynos run as the user FIRST_UID + slot, where the platform is root
PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
SECRET_PLACES = ("/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock")
PRIVATE_HOME = (".ssh", ".aws", ".docker", ".netrc", ".git-credentials", ".config/gh", ".kube")


def build(
    spec: BuildSpec,
    *,
    slugs: SlugStore,
    write: Callable[[bytes], None],
    cancelled: Callable[[], bool],
    step: Callable[[str], None] = lambda name: None,
    outbound: Outbound | None = None,
    buildpacks: Path | None = None,
    ahead: Ahead | None = None,
) -> BuildResult:
    """Build `spec` and put the slug in the store.

    `outbound` fetches buildpacks that are URLs, `buildpacks` is a folder with buildpacks of the operator's, by name.
    `ahead` may have a process ready for it, and is to have one for the next.
    `write` gets each line of output, `step` the names fetch, detect, compile and slug as they begin; `cancelled` is
    asked about twice a second. Raises `BuildFailed` (the app's fault, with the reason), `BuildCancelled`, or
    `EngineError` (the world's). Whatever happens, no process and no file of the build is left but its cache.
    """
    output = Output(write, spec.env, spec.limits.output_bytes)
    step("fetch")
    try:
        uid = _folders(spec)
        packs = Finder(outbound or Outbound(), buildpacks, spec.work, cancelled).find(spec.buildpacks)
        if cancelled():
            raise BuildCancelled
        job = _job(spec, uid, packs, slugs)
        if uid is not None:
            _give(spec, uid)
        done = Child(spec, output, cancelled, ahead.take if ahead else launch).run(job, step)
        return store_slug(spec, done, slugs, output)
    except OSError as fault:
        raise EngineError(f"The build could not go on: {fault.strerror or fault}.") from fault
    finally:
        if ahead:
            ahead.order()
        _remove(spec.work)


def _folders(spec: BuildSpec) -> int | None:
    """Make the work folder anew and the cache if need be; returns the user that they belong to, None for our own."""
    _remove(spec.work)
    if spec.fresh:
        _remove(spec.cache)
    spec.work.mkdir(parents=True)
    spec.cache.mkdir(parents=True, exist_ok=True)
    return FIRST_UID + spec.slot if os.geteuid() == 0 else None


def _remove(folder: Path) -> None:
    """Remove a work folder, whatever modes the build has given to folders in it."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    folder.chmod(0o700)
    for path, names, _ in os.walk(folder):
        for name in names:
            if not os.path.islink(inside := os.path.join(path, name)):
                os.chmod(inside, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _give(spec: BuildSpec, uid: int) -> None:
    """Hand the folders to the build's user. From here on nothing may be written into them by the platform, for what
    lies there may be a link to somewhere else."""
    for mine in (spec.work, *spec.work.iterdir()):
        os.lchown(mine, uid, uid)
    if spec.cache.stat().st_uid != uid:
        for folder, _, files in os.walk(spec.cache):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.lchown(path, uid, uid)


def _job(
    spec: BuildSpec, uid: int | None, packs: Sequence[dict[str, str]], slugs: SlugStore
) -> dict[str, Any]:
    home = Path.home()
    uv = _uv(spec, as_other=uid is not None)
    work, cache = str(spec.work), str(spec.cache)
    closed = closed_ancestor(Path(sys.base_prefix)) if uid is not None else None
    opened = [sys.base_prefix] if closed else []
    search = search_folders(os.environ.get("PATH", ""), home, dict(os.environ))
    return {
        "source": str(spec.source),
        "stack": spec.stack,
        "buildpacks": list(packs),
        "command": spec.command,
        "test": spec.test,
        "config": dict(spec.env),
        "env": essentials(os.environ, PATH),
        "work": work,
        "cache": cache,
        "slug": f"{work}/slug.tar.zst",
        "limits": asdict(spec.limits),
        "uv": uv,
        "search": search,
        "as_other": uid is not None,
        "pythons": [
            (one.minor, str(one.path), one.access)
            for one in installed(search, as_other=uid is not None, opened=opened)
        ],
        "walls": {
            "parent": os.getpid(),
            "uid": uid,
            "hide": [
                *(str(folder) for folder in (closed,) if folder),
                *_hidden([spec.work, spec.cache, slugs.archives]),
            ],
            "mask": [*SECRET_PLACES, *(str(home / name) for name in PRIVATE_HOME if uid is None)],
            "keep": [work, cache, sys.prefix, str(Path(__file__).parent), *opened, *_folders_of(packs)],
            "tmp": work,
        },
    }


def _folders_of(packs: Sequence[dict[str, str]]) -> list[str]:
    return [item["folder"] for item in packs if "folder" in item]


def _hidden(paths: Sequence[Path]) -> list[str]:
    """The data folder, in which the apps' files, caches and slugs are side by side: the folder that `paths` share,
    unless it is one that holds more than our data."""
    shared = os.path.commonpath([path.resolve() for path in paths])
    needed = (Path(__file__).resolve(), Path(sys.prefix).resolve(), Path("/usr"), Path.home())
    if any(path.is_relative_to(shared) for path in needed):
        return []
    return [shared]


def _uv(spec: BuildSpec, *, as_other: bool) -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise EngineError("uv is not installed beside the platform's Python.", permanent=True)
    uv = Path(found)
    if not as_other or reachable(uv):
        return str(uv)
    shutil.copy(uv, spec.work / "uv")
    return str(spec.work / "uv")


def store_slug(spec: BuildSpec, done: dict[str, Any], slugs: SlugStore, output: Output) -> BuildResult:
    """Judge what the build has left in its work folder, which it could have tampered with, and take it in."""
    slug = spec.work / "slug.tar.zst"
    about = slug.lstat()
    if not stat.S_ISREG(about.st_mode):
        raise BuildFailed("The slug is not a file.")
    limit = spec.limits.slug_bytes
    if about.st_size > limit:
        raise BuildFailed(
            f"The slug is {about.st_size / 2**20:,.1f} MB; the limit is {limit / 2**20:,.0f} MB."
        )
    output.say("-----> Compressing...")
    types = {
        str(name): str(command)
        for name, command in dict(done["process_types"]).items()
        if TYPE.fullmatch(str(name)) and len(str(command)) <= 10_000
    }
    digest = slugs.put(slug)
    output.say(f"       Done: {about.st_size / 2**20:.1f}M")
    return BuildResult(
        digest,
        about.st_size,
        int(done["unpacked_bytes"]),
        types,
        [str(name)[:80] for name in done["buildpacks"]],
        app_json=dict(done.get("app_json") or {}),
    )
