"""Getting buildpacks that are not on this machine, within the child's walls."""

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from core.errors import BuildFailed
from engine.builder.context import Context
from engine.builder.unpack import unpack

MAX_BYTES = 1024**3
MAX_FILES = 100_000
SAFE_GIT = (
    "protocol.allow=never",
    "protocol.https.allow=always",
    "http.followRedirects=false",
    "core.symlinks=true",
    "core.hooksPath=/dev/null",
    "advice.detachedHead=false",
    "init.defaultBranch=main",
)


def fetched(item: Mapping[str, str], number: int, build: Context) -> Path:
    """The folder of the buildpack that `item` tells of; `BuildFailed` if it cannot be had."""
    if "folder" in item:
        return Path(item["folder"])
    if "archive" in item:
        folder = build.tmp / f"buildpack-{number}"
        folder.mkdir()
        unpack(Path(item["archive"]), folder, max_bytes=MAX_BYTES, max_files=MAX_FILES)
        return _top(folder)
    return _cloned(item, build)


def _top(folder: Path) -> Path:
    """Tarballs of a repository have one folder that holds everything."""
    inside = list(folder.iterdir())
    if len(inside) == 1 and inside[0].is_dir() and not (folder / "bin").exists():
        return inside[0]
    return folder


def _cloned(item: Mapping[str, str], build: Context) -> Path:
    """A shallow copy, kept between builds and brought up to date each time; the kept one serves when that fails."""
    key = hashlib.sha256(f"{item['git']}#{item['ref']}".encode()).hexdigest()[:32]
    folder = build.cache / "buildpacks" / key
    folder.mkdir(parents=True, exist_ok=True)
    build.say(f"Fetching the buildpack {item['name']}")
    if not (folder / ".git").is_dir() and _git(item, folder, build, "init", "--quiet") != 0:
        raise BuildFailed(f"The buildpack {item['name']} could not be set up.")
    got = _git(item, folder, build, "fetch", "--quiet", "--depth=1", item["git"], item["ref"])
    if got == 0:
        got = _git(item, folder, build, "checkout", "--quiet", "--force", "FETCH_HEAD")
    elif (folder / "bin").is_dir():
        build.warn("It could not be fetched; using the copy of an earlier build.")
        got = 0
    if got != 0:
        raise BuildFailed(
            f"The buildpack {item['name']} could not be fetched from {item['git']} ({item['ref']})."
        )
    return folder


def _git(item: Mapping[str, str], folder: Path, build: Context, *arguments: str) -> int:
    options = [
        part for setting in (*SAFE_GIT, f"http.curloptResolve={item['pin']}") for part in ("-c", setting)
    ]
    env = {
        **build.env,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_DIR": str(folder / ".git"),
        "GIT_WORK_TREE": str(folder),
    }
    return subprocess.run(
        ["git", *options, *arguments], cwd=folder, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT
    ).returncode
