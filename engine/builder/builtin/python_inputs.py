"""Which files say what a Python app requires, and installing it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import BuildFailed
from engine.builder.context import Context
from engine.builder.procfile import read_small

FILES = ("requirements.txt", "uv.lock", "pyproject.toml", "Pipfile", "poetry.lock")
INCLUDE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)")
LOCAL = re.compile(r"^\s*(?:(?:-e|--editable)[\s=]+)?(?:\.|/|file:)|\s@\s*(?:\.|/|file:)")


@dataclass(frozen=True)
class Inputs:
    """What is to be installed. `digest` changes whenever the installed packages might."""

    source: str  # the file that decides
    digest: str
    version: str = ""  # of Python; empty: any
    version_file: str = ""


def read(build: Context) -> Inputs:
    """Find out what the app requires; `BuildFailed` when its files contradict each other."""
    root = build.root
    source = next((name for name in FILES if (root / name).is_file()), "")
    digest = hashlib.sha256(source.encode())
    for name, data in sorted(_files(root, source).items()):
        digest.update(f"\0{name}\0{len(data)}\0".encode("utf-8", "surrogateescape") + data)
    for name, value in sorted(build.config.items()):
        if name.startswith(("PIP_", "UV_")):
            digest.update(f"\0{name}={value}".encode("utf-8", "surrogateescape"))
    version, said_by = _version(root)
    return Inputs(source, digest.hexdigest(), version, said_by)


def install(build: Context, wanted: Inputs, venv: Path, env: Mapping[str, str]) -> None:
    """Install into `venv`; `BuildFailed` if uv fails, which has then said why."""
    pip: list[str | Path] = [
        build.uv,
        "pip",
        "install",
        "--python",
        venv / "bin/python",
        "--compile-bytecode",
    ]
    status = build.run([*pip, "-r", wanted.source], env=env)
    if status != 0:
        raise BuildFailed(f"Installing the packages of {wanted.source} failed.")


def _files(root: Path, source: str) -> dict[str, bytes]:
    """The contents that decide: the file itself and all that it includes."""
    found: dict[str, bytes] = {}
    pending = [source]
    while pending:
        name = pending.pop()
        data = read_small(root / name)
        if name in found or data is None:
            continue
        found[name] = data
        if source == "requirements.txt":
            for line in data.decode("utf-8", "replace").splitlines():
                if match := INCLUDE.match(line):
                    pending.append(str(Path(name).parent / match[1]))
    return found


def _version(root: Path) -> tuple[str, str]:
    for name in (".python-version", "runtime.txt"):
        data = read_small(root / name)
        lines = (data or b"").decode("utf-8", "replace").splitlines()
        stated = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
        if len(stated) > 1:
            raise BuildFailed(f"{name} names more than one version.")
        if stated:
            return stated[0], name
    return "", ""
