"""Node apps: packages by the lock file's own tool, the build script, then only what production needs."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BuildFailed
from engine.builder.builtin import semver
from engine.builder.context import Context
from engine.builder.interpreters import reachable
from engine.builder.kept import Kept
from engine.builder.procfile import read_small

HERE = b"node_modules"
INSTALL_SCRIPTS = (
    "preinstall",
    "install",
    "postinstall",
    "prepublish",
    "preprepare",
    "prepare",
    "postprepare",
)
PROFILE = """\
export PATH="$HOME/node_modules/.bin:{node}$PATH"
export NODE_ENV="${{NODE_ENV:-production}}"
"""
WITH_DEVELOPMENT = {"NPM_CONFIG_PRODUCTION": "false", "npm_config_include": "dev"}
ABSENT = "Node.js is not installed on this machine. Have the operator install it (with Debian: apt-get install nodejs npm)."


@dataclass(frozen=True)
class Manager:
    """A package manager and what is asked of it."""

    name: str
    lock: str  # its lock file; empty: there is none
    install: tuple[str, ...]
    production: tuple[str, ...]  # installs without what only development needs
    prune: tuple[str, ...]


NPM_CI = Manager("npm", "package-lock.json", ("ci",), ("ci", "--omit=dev"), ("prune", "--omit=dev"))
NPM_SHRINKWRAP = Manager("npm", "npm-shrinkwrap.json", ("ci",), ("ci", "--omit=dev"), ("prune", "--omit=dev"))
NPM = Manager(
    "npm",
    "",
    ("install", "--no-package-lock"),
    ("install", "--no-package-lock", "--omit=dev"),
    ("prune", "--omit=dev"),
)
YARN = Manager(
    "yarn",
    "yarn.lock",
    ("install", "--frozen-lockfile", "--non-interactive", "--production=false"),
    ("install", "--frozen-lockfile", "--non-interactive", "--production=true"),
    (
        "install",
        "--frozen-lockfile",
        "--non-interactive",
        "--production=true",
        "--ignore-scripts",
        "--offline",
    ),
)
BERRY = Manager("yarn", "yarn.lock", ("install", "--immutable"), ("install", "--immutable"), ())
PNPM = Manager(
    "pnpm",
    "pnpm-lock.yaml",
    ("install", "--frozen-lockfile"),
    ("install", "--frozen-lockfile", "--prod"),
    ("prune", "--prod", "--ignore-scripts"),
)


class Node:
    """Installs what package.json asks for and runs its build."""

    LOOKS_FOR = "package.json (Node.js)"

    def detect(self, build: Context) -> str | None:
        return "Node.js" if (build.root / "package.json").is_file() else None

    def compile(self, build: Context) -> None:
        package = read_package(build.root)
        node = self._node(build, package)
        build.env.setdefault("NODE_ENV", "test" if build.test else "production")
        manager = _manager(build.root, package)
        tool = self._tool(build, manager)
        env = self._environment(build)
        scripts = package["scripts"]
        if any(
            name in scripts for name in ("build", "heroku-prebuild", "heroku-postbuild", *INSTALL_SCRIPTS)
        ):
            self._full_build(build, manager, tool, env, scripts)
        else:
            self._packages_only(build, manager, tool, env, node)
        standard = {"/usr/local/bin", "/usr/bin", "/bin"}
        folder = "" if str(node.parent) in standard else f"{node.parent}:"
        profile = PROFILE.replace("production", "test") if build.test else PROFILE
        build.write_profile("nodejs", profile.format(node=folder))
        build.env["PATH"] = f"{build.root}/node_modules/.bin:{build.env['PATH']}"

    def release(self, build: Context) -> dict[str, str]:
        if "start" in read_package(build.root)["scripts"]:
            return {"web": "npm start"}
        return {"web": "node server.js"} if (build.root / "server.js").is_file() else {}

    def _node(self, build: Context, package: Mapping[str, Any]) -> Path:
        """Where node is, once its version is seen to fit."""
        search = os.pathsep.join([build.env["PATH"], *build.search])
        found = shutil.which("node", path=search)
        if found is None or (build.as_other and not reachable(Path(found))):
            raise BuildFailed(ABSENT)
        answer = build.ask([found, "--version"]) or ""
        version = semver.parse(answer)
        if version is None:
            raise BuildFailed(f"The node at {found} does not run.")
        build.say(f"Using Node.js {answer.lstrip('v')}")
        build.env["PATH"] = f"{Path(found).parent}:{build.env['PATH']}"
        wanted = package["engines"].get("node")
        if not isinstance(wanted, str):
            return Path(found)
        fits = semver.fits(version, wanted)
        if fits is None:
            build.warn(f"engines.node is {wanted[:60]!r}, which cannot be read; going on.")
        elif not fits:
            raise BuildFailed(
                f"package.json asks for Node.js {wanted[:60]} (engines.node), but {answer.lstrip('v')} is installed. "
                "Change engines.node, or have the operator install another Node.js."
            )
        return Path(found)

    def _tool(self, build: Context, manager: Manager) -> list[str]:
        """How to call the package manager."""
        found = shutil.which(manager.name, path=build.env["PATH"])
        if found:
            return [found]
        if shutil.which("corepack", path=build.env["PATH"]) and manager.name != "npm":
            return ["corepack", manager.name]
        raise BuildFailed(
            f"{manager.lock or 'package.json'} needs {manager.name}, which is not installed on this machine. "
            f"Have the operator install it (npm install -g {manager.name}), or commit a package-lock.json."
        )

    def _environment(self, build: Context) -> dict[str, str]:
        return {
            **build.exported(),
            "npm_config_cache": str(build.cache / "npm"),
            "npm_config_update_notifier": "false",
            "npm_config_fund": "false",
            "npm_config_audit": "false",
            "npm_config_prefer_offline": "true",
            "npm_config_loglevel": "error",
            "YARN_CACHE_FOLDER": str(build.cache / "yarn"),
            "YARN_ENABLE_GLOBAL_CACHE": "false",
            "COREPACK_HOME": str(build.cache / "corepack"),
            "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
            "npm_config_store_dir": str(build.cache / "pnpm"),
            "CI": "true",
        }

    def _full_build(
        self,
        build: Context,
        manager: Manager,
        tool: list[str],
        env: dict[str, str],
        scripts: Mapping[str, str],
    ) -> None:
        """Scripts may look at anything and change anything: all is done anew, from the package cache."""
        npm_run = [shutil.which("npm", path=build.env["PATH"]) or tool[0], "run", "--silent"]
        if "heroku-prebuild" in scripts:
            self._run(build, [*npm_run, "heroku-prebuild"], env, "Running heroku-prebuild")
        shutil.rmtree(build.root / "node_modules", ignore_errors=True)
        self._run(
            build,
            [*tool, *manager.install],
            {**env, **WITH_DEVELOPMENT},
            f"Installing packages with {manager.name}",
        )
        script = "heroku-postbuild" if "heroku-postbuild" in scripts else "build"
        if script in scripts:
            self._run(build, [*npm_run, script], env, f"Running {script}")
        if manager.prune and not build.test:
            self._run(build, [*tool, *manager.prune], env, "Leaving out what only development needs")

    def _packages_only(
        self, build: Context, manager: Manager, tool: list[str], env: dict[str, str], node: Path
    ) -> None:
        kept = Kept(build, "node", HERE)
        if not kept.fits(_key(build, manager, node)):
            shutil.rmtree(build.root / "node_modules", ignore_errors=True)
            label = f"Installing packages with {manager.name}"
            wanted = manager.install if build.test else manager.production
            if build.test:
                env = {**env, **WITH_DEVELOPMENT}
            self._run(build, [*tool, *wanted], env, label)
            (build.root / "node_modules").mkdir(exist_ok=True)
            kept.take(build.root / "node_modules")
            kept.finish(_key(build, manager, node))
        else:
            build.say(
                f"Using the packages of the last build ({manager.lock or 'package.json'} has not changed)"
            )
        kept.place()

    def _run(self, build: Context, argv: list[str], env: Mapping[str, str], label: str) -> None:
        build.say(label)
        if build.run(argv, env=env) != 0:
            raise BuildFailed(f"{label} failed.")


def read_package(root: Path) -> dict[str, Any]:
    """package.json, its `scripts` and `engines` made sure to be objects."""
    data = read_small(root / "package.json") or b"{}"
    try:
        package = json.loads(data)
    except json.JSONDecodeError as fault:
        raise BuildFailed(f"package.json, line {fault.lineno}, column {fault.colno}: {fault.msg}.") from None
    except (UnicodeDecodeError, RecursionError):
        raise BuildFailed("package.json is not readable as JSON.") from None
    if not isinstance(package, dict):
        raise BuildFailed("package.json has to be an object: { … }.")
    for key in ("scripts", "engines"):
        if not isinstance(package.get(key), dict):
            package[key] = {}
    return package


def _manager(root: Path, package: Mapping[str, Any]) -> Manager:
    locks = [name for name in ("package-lock.json", "yarn.lock", "pnpm-lock.yaml") if (root / name).is_file()]
    if len(locks) > 1:
        raise BuildFailed(f"There are lock files of several package managers: {', '.join(locks)}. Keep one.")
    if locks == ["yarn.lock"]:
        is_berry = (root / ".yarnrc.yml").is_file() or not str(
            package.get("packageManager", "yarn@1")
        ).startswith("yarn@1")
        return BERRY if is_berry else YARN
    if locks == ["pnpm-lock.yaml"]:
        return PNPM
    if (root / "npm-shrinkwrap.json").is_file():
        return NPM_SHRINKWRAP
    return NPM_CI if locks else NPM


def _key(build: Context, manager: Manager, node: Path) -> str:
    real = node.resolve()
    digest = hashlib.sha256(f"{manager.name}\0{real}\0{real.stat().st_mtime_ns}".encode())
    digest.update(b"\0test" if build.test else b"")
    for name in ("package.json", manager.lock, ".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml"):
        path = build.root / name
        digest.update(f"\0{name}\0".encode() + (path.read_bytes() if name and path.is_file() else b""))
    for name, value in sorted(build.config.items()):
        if name.upper().startswith(("NPM_", "YARN_", "NODE_")):
            digest.update(f"\0{name}={value}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
