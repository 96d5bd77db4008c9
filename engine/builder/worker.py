"""The steps of a build, from source to slug, run in the sandboxed child. Its only ways out are its exit, its output
and the lines it writes to `report`."""

import importlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import BuildFailed
from engine.builder.builtin import BUILTINS, ORDER
from engine.builder.context import Buildpack, Context, emit
from engine.builder.fetch import fetched
from engine.builder.interpreters import Interpreter
from engine.builder.pack import pack
from engine.builder.procfile import read_app_json, read_procfile
from engine.builder.source import tidy
from engine.builder.unpack import unpack

FOREIGN = {
    "Gemfile": "Ruby",
    "composer.json": "PHP",
    "go.mod": "Go",
    "pom.xml": "Java",
    "build.gradle": "Gradle",
    "build.sbt": "Scala",
    "mix.exs": "Elixir",
    "Cargo.toml": "Rust",
}
AS_IN_A_DYNO = 'for f in .profile.d/*.sh; do [ -r "$f" ] && . "./$f"; done; unset f; exec /bin/bash -c "$1"'
IMAGES = ("heroku.yml", "Dockerfile")


def load(job: Mapping[str, Any]) -> None:
    """Import what only some builds need and what takes its time."""
    if any(item["name"] not in BUILTINS for item in job["buildpacks"]):
        importlib.import_module("engine.builder.scripts")


def run(job: Mapping[str, Any], source: BinaryIO, report: Callable[[Mapping[str, Any]], None]) -> None:
    """Do the build that `job` describes; reports `step`s and at last `done`. `BuildFailed` is the app's own fault."""
    build = _context(job)
    limits = job["limits"]
    unpack(source, build.root, max_bytes=limits["unpacked_bytes"], max_files=limits["files"])
    tidy(build.root)
    app_json = read_app_json(build.root)
    procfile = read_procfile(build.root)
    emit(f"-----> Building on the {job['stack']} stack")
    report({"step": "detect"})
    chosen = _choose(job["buildpacks"], build)
    report({"step": "compile"})
    for buildpack, name in chosen:
        emit(f"-----> {name} app detected")
        buildpack.compile(build)
    _finish(job.get("command", ""), build)
    defaults = chosen[-1][0].release(build)
    types = _process_types(procfile, defaults, chosen[-1][1])
    report({"step": "slug"})
    slug = Path(job["slug"])
    slug.unlink(missing_ok=True)
    unpacked = pack(build.root, slug, max_bytes=limits["unpacked_bytes"], layers=build.layers)
    done = {"process_types": types, "unpacked_bytes": unpacked, "buildpacks": [n for _, n in chosen]}
    report({"done": {**done, "app_json": app_json}})


def _finish(command: str, build: Context) -> None:
    """Run the app's own build command among its files, as built: with its config vars and what dynos start with."""
    if not command:
        return
    build.say(f"Running {command}")
    env = {**build.exported(), "HOME": str(build.root)}
    code = build.run(["/bin/bash", "-c", AS_IN_A_DYNO, "build", command], env=env)
    if code:
        raise BuildFailed(f"The build command failed with exit code {code}: {command}")


def _context(job: Mapping[str, Any]) -> Context:
    work, config = Path(job["work"]), job["config"]
    for name in ("build", "env", "tmp", "home"):
        (work / name).mkdir(mode=0o755)
    for name, value in config.items():
        file = os.open(work / "env" / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with open(file, "wb") as out:
            out.write(value.encode("utf-8", "surrogateescape"))
    env = {**job["env"], "HOME": str(work / "home"), "TMPDIR": str(work / "tmp"), "STACK": job["stack"]}
    return Context(
        root=work / "build",
        cache=Path(job["cache"]),
        env_dir=work / "env",
        tmp=work / "tmp",
        config=config,
        env=env,
        doors=job["doors"],
        max_bytes=job["limits"]["unpacked_bytes"],
        uv=job["uv"],
        search=job["search"],
        as_other=job["as_other"],
        pythons=[Interpreter(minor, Path(path), access) for minor, path, access in job["pythons"]],
        walled=job["walls"]["namespaces"],
        test=job["test"],
    )


def _choose(asked: list[dict[str, str]], build: Context) -> list[tuple[Buildpack, str]]:
    """The buildpacks to use with the names to show. Those that were asked for all have to fit, in order."""
    if not asked:
        return [_detected(build)]
    chosen = []
    for number, item in enumerate(asked):
        buildpack = _buildpack(item, number, build)
        name = buildpack.detect(build)
        if name is None:
            raise BuildFailed(f"The buildpack {item['name']} does not fit this app: its detection failed.")
        chosen.append((buildpack, name))
    return chosen


def _buildpack(item: Mapping[str, str], number: int, build: Context) -> Buildpack:
    if item["name"] in BUILTINS:
        return BUILTINS[item["name"]]()
    from engine.builder.scripts import ScriptBuildpack

    return ScriptBuildpack(fetched(item, number, build), item["name"])


def _detected(build: Context) -> tuple[Buildpack, str]:
    for key in ORDER:
        buildpack = BUILTINS[key]()
        name = buildpack.detect(build)
        if name is not None:
            _refuse_foreign(key, build)
            return buildpack, name
    image = next((name for name in IMAGES if (build.root / name).is_file()), None)
    if image is not None:
        raise BuildFailed(
            f"No buildpack fits this app, but there is a {image}. Where dynos run on a Docker engine it is built once "
            "the app's stack is container: on its Settings page, or with heroku stack:set container"
        )
    looked_for = "".join(f"\n  {BUILTINS[key].LOOKS_FOR}" for key in ORDER)
    raise BuildFailed(f"No buildpack fits this app. Looked for, at the top of the source:{looked_for}")


def _refuse_foreign(key: str, build: Context) -> None:
    """An app that needs building in a language we know no buildpack for would only crash later, without a word."""
    found = next((mark for mark in FOREIGN if (build.root / mark).is_file()), None)
    if key == "procfile" and found is not None:
        language = FOREIGN[found]
        raise BuildFailed(
            f"There is a {found}, and no buildpack for {language} comes with the platform. Choose one for the app, by "
            f"URL or as heroku/{language.lower()}; or choose `procfile` to run the files as they are."
        )


def _process_types(procfile: dict[str, str] | None, defaults: dict[str, str], name: str) -> dict[str, str]:
    emit("-----> Discovering process types")
    if procfile is not None:
        emit(f"       Procfile declares types -> {', '.join(procfile) or '(none)'}")
    rest = [key for key in defaults if key not in (procfile or {})]
    if rest:
        emit(f"       Default types for {name} -> {', '.join(rest)}")
    if not procfile and not rest:
        emit(" !     There is no Procfile, so nothing will run. Add one with a line like `web: ./start`.")
    return {**defaults, **(procfile or {})}


def encode(message: Mapping[str, Any]) -> bytes:
    """One line of the report."""
    return json.dumps(message).encode() + b"\n"
