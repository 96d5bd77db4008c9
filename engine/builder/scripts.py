"""Classic buildpacks: a folder with bin/detect, bin/compile and bin/release."""

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from core.errors import BuildFailed
from engine.builder.context import Context
from engine.builder.procfile import TYPE
from engine.builder.unpack import show

MAX_ANSWER = 256 * 1024
# Sources an `export` file and prints what the environment is after it.
SOURCE_EXPORT = 'set -a; . "$1" >/dev/null; env -0'


class ScriptBuildpack:
    """A buildpack that was fetched, or lies in the app's own folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.shown = name

    def detect(self, build: Context) -> str | None:
        found = self._ask("detect", build)
        if found is None:
            return None
        self.shown = show(found.splitlines()[0].strip()[:80]) if found.strip() else self.name
        return self.shown

    def compile(self, build: Context) -> None:
        name = self._compiler(build)
        script = self._script(name)
        status = subprocess.run(
            [script, build.root, build.cache, build.env_dir],
            cwd=build.root,
            env=build.env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        ).returncode
        if status != 0:
            raise BuildFailed(f"The buildpack {self.shown} failed (bin/{name}: {how_it_ended(status)}).")
        self._export(build)

    def release(self, build: Context) -> dict[str, str]:
        if not (self.folder / "bin/release").is_file():
            return {}
        answer = self._ask("release", build)
        if answer is None:
            raise BuildFailed(f"The buildpack {self.shown} failed (bin/release).")
        return default_process_types(answer, self.shown)

    def _compiler(self, build: Context) -> str:
        """For tests a buildpack may have a script of its own: https://devcenter.heroku.com/articles/testpack-api"""
        return "test-compile" if build.test and (self.folder / "bin/test-compile").is_file() else "compile"

    def _script(self, name: str) -> Path:
        script = self.folder / "bin" / name
        if not script.is_file():
            raise BuildFailed(f"{self.name} is not a buildpack: it has no bin/{name}.")
        if not os.access(script, os.X_OK):
            raise BuildFailed(f"The buildpack {self.name} has a bin/{name} that is not executable.")
        return script

    def _ask(self, name: str, build: Context) -> str | None:
        script = self._script(name)
        process = subprocess.Popen(
            [script, build.root],
            cwd=build.root,
            env=build.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        with process.stdout as output:
            answer = output.read(MAX_ANSWER)
        return answer.decode("utf-8", "replace") if process.wait() == 0 else None

    def _export(self, build: Context) -> None:
        script = self.folder / "export"
        if not script.is_file():
            return
        argv = ["/bin/bash", "-c", SOURCE_EXPORT, "export", str(script)]
        answer = subprocess.run(
            argv, cwd=build.root, env=build.env, stdin=subprocess.DEVNULL, capture_output=True
        )
        if answer.returncode != 0:
            raise BuildFailed(f"The buildpack {self.shown} has an export script that fails.")
        pairs = (item.partition(b"=") for item in answer.stdout.split(b"\0") if b"=" in item)
        found = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
        for name in ("_", "SHLVL", "PWD", "OLDPWD"):
            found.pop(name, None)
        build.env.clear()
        build.env.update(found)


def default_process_types(text: str, buildpack: str) -> dict[str, str]:
    """The `default_process_types` of what bin/release printed."""
    try:
        found: Any = yaml.safe_load(text) or {}
    except (yaml.YAMLError, RecursionError):
        raise BuildFailed(f"The buildpack {buildpack} printed no YAML in bin/release.") from None
    types = found.get("default_process_types") if isinstance(found, dict) else None
    if not isinstance(types, dict):
        return {}
    return {
        name: command.strip()
        for name, command in types.items()
        if isinstance(name, str) and isinstance(command, str) and TYPE.fullmatch(name) and command.strip()
    }


def how_it_ended(status: int) -> str:
    """A status as people say it."""
    return f"ended by signal {-status}" if status < 0 else f"exit status {status}"
