"""Which files say what a Python app requires, and installing it."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BuildFailed
from engine.builder.context import Context
from engine.builder.procfile import read_small

MARKS = ("requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock", "Pipfile", "pyproject.toml")
FOR_TESTS = ("requirements-test.txt", "requirements-dev.txt")
LOCK_BYTES = 16 * 1024 * 1024
INCLUDE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)")
EDITABLE = re.compile(r"^\s*(?:-e|--editable)[\s=]+")
# A requirement that is a folder or file of the source: `.`, `./lib[extra]`, `pkg @ file:…`.
LOCAL = re.compile(
    r"^\s*(?:\.{1,2}(?:[/\[]|\s|$)|/|file:)|\s@\s*(?:\.|/|file:)|^\s*[\w./-]+\.(?:whl|tar\.gz|zip)\b"
)
CLAUSE = re.compile(r"(>=|<=|==|!=|~=|>|<)\s*3(?:\.(\d+|\*))?(?:\.(?:\d+|\*))?")


@dataclass(frozen=True)
class Inputs:
    """What is to be installed. `digest` changes whenever the installed packages might."""

    source: str  # the file that decides
    digest: str
    version: str = ""  # of Python; empty: any
    version_file: str = ""
    requires_python: str = ""


def read(build: Context) -> Inputs:
    """Find out what the app requires; `BuildFailed` when its files are wrong or lead nowhere."""
    root = build.root
    source = _source(root)
    digest = hashlib.sha256(source.encode())
    files = _files(root, source)
    for also in tests_need(build):
        files |= _files(root, also, includes=True)
    for name, data in sorted(files.items()):
        digest.update(f"\0{name}\0{len(data)}\0".encode("utf-8", "surrogateescape") + data)
    for name, value in sorted(build.config.items()):
        if name.startswith(("PIP_", "UV_")):
            digest.update(f"\0{name}={value}".encode("utf-8", "surrogateescape"))
    if _installs_the_source(source, files):
        digest.update(_tree_digest(root))
    version, said_by = _version(root, source)
    return Inputs(source, digest.hexdigest(), version, said_by, _requires_python(root))


def tests_need(build: Context) -> list[str]:
    """The files with what only tests require, in a build that is to be tested."""
    return [name for name in FOR_TESTS if build.test and (build.root / name).is_file()]


def allows(specifier: str, minor: int) -> bool:
    """Whether a `requires-python` such as `>=3.10,<3.14` allows Python 3.`minor`."""
    for operator, number in CLAUSE.findall(specifier):
        if number in ("", "*"):
            continue
        wanted = int(number)
        held = {
            ">=": minor >= wanted,
            "~=": minor >= wanted,
            "==": minor == wanted,
            "<=": minor <= wanted,
            "<": minor < wanted,
            ">": minor >= wanted,  # `>3.10` is held by 3.10.1
            "!=": True,
        }[operator]
        if not held:
            return False
    return True


def install(build: Context, wanted: Inputs, venv: Path, env: Mapping[str, str]) -> None:
    """Install into `venv`; `BuildFailed` if uv fails, which has then said why."""
    if wanted.source == "uv.lock":
        env = {**env, "UV_PROJECT_ENVIRONMENT": str(venv)}
        groups = [] if build.test else ["--no-default-groups"]  # of these, dev is the usual one
        argv: list[str | Path] = [build.uv, "sync", "--locked", *groups, "--no-editable"]
        argv += ["--python", venv / "bin/python"]
    else:
        argv = [build.uv, "pip", "install", "--python", venv / "bin/python", *_requirements(build, wanted)]
        argv += _with_pkg_resources(build, wanted)
    _run(build, argv, env, wanted.source)
    for name in tests_need(build):
        _run(build, [build.uv, "pip", "install", "--python", venv / "bin/python", "-r", name], env, name)


def _run(build: Context, argv: Sequence[str | Path], env: Mapping[str, str], source: str) -> None:
    if build.run(argv, env=env, show=lambda line: not line.startswith("Using Python ")) != 0:
        raise BuildFailed(f"Installing the packages of {source} failed.")


def _with_pkg_resources(build: Context, wanted: Inputs) -> list[str]:
    """Packages of a few years ago import pkg_resources, which setuptools 81 no longer has: they get the one before, as on
    Heroku, unless the app says itself which setuptools it wants."""
    if wanted.source not in ("requirements.txt", "pyproject.toml"):
        return []  # a lock file has the last word
    if any(
        "setuptools" in data.decode("utf-8", "replace") for data in _files(build.root, wanted.source).values()
    ):
        return []
    path = build.tmp / "constraints.txt"
    path.write_text("setuptools<81\n")
    return ["--constraints", str(path)]


def _source(root: Path) -> str:
    there = [name for name in MARKS if (root / name).is_file()]
    if there == ["Pipfile"]:
        raise BuildFailed("There is a Pipfile but no Pipfile.lock. Run `pipenv lock` and commit it.")
    if "pyproject.toml" in there and there[0] == "pyproject.toml" and not _toml(root).get("project"):
        raise BuildFailed(
            "pyproject.toml has no [project] table and there is no lock file, so nothing says what to install. "
            "Commit a requirements.txt, uv.lock or poetry.lock."
        )
    return there[0]


def _requirements(build: Context, wanted: Inputs) -> list[str]:
    """What to tell uv to install."""
    root = build.root
    if wanted.source == "Pipfile.lock":
        return _listed(build, _pipfile_lock(root))
    if wanted.source == "poetry.lock":
        return ["--no-deps", *_listed(build, _poetry_lock(root))]
    if wanted.source == "pyproject.toml":
        return ["."] if _is_package(_toml(root)) else ["-r", "pyproject.toml"]
    text = (root / wanted.source).read_bytes().decode("utf-8", "replace")
    if any(EDITABLE.match(line) for line in text.splitlines()):
        # An editable package would stay where it was built; in a slug it has to move along.
        plain = [EDITABLE.sub("", line) for line in text.splitlines()]
        return _listed(build, plain)
    return ["-r", wanted.source]


def _listed(build: Context, lines: Iterable[str]) -> list[str]:
    path = build.tmp / "requirements.txt"
    path.write_text("\n".join(lines) + "\n")
    return ["-r", str(path)]


def _pipfile_lock(root: Path) -> list[str]:
    """The locked packages, and the indexes they come from."""
    try:
        lock = json.loads(_read_lock(root, "Pipfile.lock"))
        packages = lock["default"]
        sources = [source["url"] for source in lock["_meta"].get("sources", [])]
        lines = [
            f"--index-url {url}" if at == 0 else f"--extra-index-url {url}" for at, url in enumerate(sources)
        ]
        for name, package in packages.items():
            lines.append(_pipfile_line(name, package))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BuildFailed("Pipfile.lock is damaged. Run `pipenv lock` and commit it.") from None
    return lines


def _pipfile_line(name: str, package: Mapping[str, Any]) -> str:
    extras = f"[{','.join(package['extras'])}]" if package.get("extras") else ""
    markers = f" ; {package['markers']}" if package.get("markers") else ""
    if "git" in package:
        return f"{name}{extras} @ git+{package['git']}@{package['ref']}{markers}"
    if "path" in package or "file" in package:
        return f"{name}{extras} @ {package.get('file') or Path(package['path'])}{markers}"
    return f"{name}{extras}{package['version']}{markers}"


def _poetry_lock(root: Path) -> list[str]:
    """The locked packages of the main group. Sources other than an index are refused: their forms are many."""
    lines = []
    try:
        for package in tomllib.loads(_read_lock(root, "poetry.lock").decode())["package"]:
            groups = package.get("groups", ["main"])
            if package.get("category", "main") != "main" or "main" not in groups or package.get("optional"):
                continue
            if package.get("source", {}).get("type", "legacy") != "legacy":
                raise BuildFailed(
                    f"poetry.lock has {package['name']} from {package['source']['type']}, which is not supported. "
                    "Commit a requirements.txt made by `poetry export`."
                )
            marker = package.get("markers")
            marker = marker.get("main") if isinstance(marker, dict) else marker
            lines.append(f"{package['name']}=={package['version']}" + (f" ; {marker}" if marker else ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BuildFailed("poetry.lock is damaged. Run `poetry lock` and commit it.") from None
    return lines


def _read_lock(root: Path, name: str) -> bytes:
    return read_small(root / name, most=LOCK_BYTES) or b""


def _toml(root: Path) -> dict[str, Any]:
    data = read_small(root / "pyproject.toml", most=LOCK_BYTES) or b""
    try:
        return tomllib.loads(data.decode())
    except ValueError as fault:
        raise BuildFailed(f"pyproject.toml cannot be read: {fault}.") from None


def _is_package(toml: Mapping[str, Any]) -> bool:
    """Whether the source itself is a package that has to be installed."""
    return "build-system" in toml or bool(toml.get("tool", {}).get("uv", {}).get("package"))


def _installs_the_source(source: str, files: Mapping[str, bytes]) -> bool:
    if source in ("uv.lock", "pyproject.toml"):
        text = files.get("pyproject.toml", b"").decode("utf-8", "replace")
        try:
            toml = tomllib.loads(text)
        except ValueError:
            return True
        return _is_package(toml) or "sources" in toml.get("tool", {}).get("uv", {})
    lines = b"\n".join(files.values()).decode("utf-8", "replace").splitlines()
    return source == "requirements.txt" and any(LOCAL.search(EDITABLE.sub("", line)) for line in lines)


def _files(root: Path, source: str, *, includes: bool = False) -> dict[str, bytes]:
    """The contents that decide: the file itself and all that it includes."""
    found: dict[str, bytes] = {}
    pending = [source, *(["pyproject.toml", "uv.toml"] if source in ("uv.lock", "pyproject.toml") else [])]
    while pending:
        name = pending.pop()
        data = read_small(root / name, most=LOCK_BYTES)
        if name in found or data is None:
            continue
        found[name] = data
        if source == "requirements.txt" or includes:
            for line in data.decode("utf-8", "replace").splitlines():
                if match := INCLUDE.match(line):
                    pending.append(str(Path(name).parent / match[1]))
    return found


def _tree_digest(root: Path) -> bytes:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            name = str(path.relative_to(root)).encode("utf-8", "surrogateescape")
            digest.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def _version(root: Path, source: str) -> tuple[str, str]:
    """The version of Python that the app states, and the file that states it."""
    for name in (".python-version", "runtime.txt"):
        lines = (read_small(root / name) or b"").decode("utf-8", "replace").splitlines()
        stated = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
        if len(stated) > 1:
            raise BuildFailed(f"{name} names more than one version.")
        if stated:
            return stated[0], name
    if source == "Pipfile.lock":
        try:
            meta = json.loads(_read_lock(root, source))["_meta"]["requires"]
            return str(meta.get("python_full_version") or meta.get("python_version") or ""), source
        except (ValueError, KeyError, TypeError, AttributeError):
            return "", ""
    return "", ""


def _requires_python(root: Path) -> str:
    project = _toml(root).get("project")
    stated = project.get("requires-python") if isinstance(project, dict) else None
    return stated if isinstance(stated, str) else ""
