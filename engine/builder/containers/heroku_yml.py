"""What an app says of its images: heroku.yml, or a Dockerfile alone."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from core.errors import BuildFailed
from core.text import is_text
from engine.builder.procfile import TYPE, read_small

LOOKED_FOR = "heroku.yml or Dockerfile"


@dataclass(frozen=True)
class Recipe:
    """One image to build: the Dockerfile, below the source's top; its folder is the context."""

    dockerfile: str
    target: str = ""


@dataclass(frozen=True)
class Manifest:
    """All of it. A command that is empty means the image's own."""

    recipes: dict[str, Recipe]  # by process type
    commands: dict[str, str]  # by process type
    image_of: dict[str, str] = field(default_factory=dict)  # process type: the type whose image it runs
    arguments: dict[str, str] = field(default_factory=dict)  # of every build


def read_manifest(root: Path) -> Manifest:
    """What the source in `root` asks for; `BuildFailed` says what is missing or wrong."""
    data = read_small(root / "heroku.yml")
    if data is None:
        if not (root / "Dockerfile").is_file():
            raise BuildFailed(
                f"The app's stack is container, so its source needs a {LOOKED_FOR} at its top; there is neither. For code "
                "that a buildpack builds, set the stack back: heroku stack:set slipway-24"
            )
        return Manifest({"web": Recipe("Dockerfile")}, {"web": ""})
    try:
        found = yaml.safe_load(data)
    except yaml.MarkedYAMLError as fault:
        where = f", line {fault.problem_mark.line + 1}" if fault.problem_mark else ""
        raise BuildFailed(f"heroku.yml{where}: {fault.problem or 'is not YAML'}.") from None
    except (yaml.YAMLError, RecursionError):
        raise BuildFailed("heroku.yml is not YAML.") from None
    if not isinstance(found, dict):
        raise BuildFailed("heroku.yml has to be a mapping: build, run, release, setup.")
    return _manifest(found, root)


def _manifest(found: dict[Any, Any], root: Path) -> Manifest:
    build = _mapping(found.get("build"), "build")
    recipes = {
        _type(name, "build.docker"): _recipe(name, value, root)
        for name, value in _mapping(build.get("docker"), "build.docker").items()
    }
    if not recipes:
        raise BuildFailed(
            "heroku.yml has no build.docker, so there is nothing to build: name a Dockerfile per process type."
        )
    arguments = {
        str(k): _text(v, f"build.config.{k}")
        for k, v in _mapping(build.get("config"), "build.config").items()
    }
    run = _mapping(found.get("run"), "run")
    commands, image_of = {name: "" for name in recipes if name != "release"}, {}
    for name, value in run.items():
        type = _type(name, "run")
        commands[type], image = _command(value, f"run.{type}")
        if type not in recipes or image:
            image_of[type] = _image(image or "web", recipes, f"run.{type}")
    if "release" in found:
        commands["release"], image = _command(found["release"], "release")
        if not commands["release"]:
            raise BuildFailed("heroku.yml: release has no command.")
        if image or "release" not in recipes:
            image_of["release"] = _image(image or next(iter(recipes)), recipes, "release")
    return Manifest(recipes, commands, image_of, arguments)


def _recipe(name: Any, value: Any, root: Path) -> Recipe:
    if isinstance(value, dict):
        recipe = Recipe(str(value.get("dockerfile", "")), str(value.get("target", "")))
    else:
        recipe = Recipe(str(value))
    path = Path(recipe.dockerfile)
    real = (root / path).resolve()
    if (
        not recipe.dockerfile
        or path.is_absolute()
        or not real.is_relative_to(root.resolve())
        or not real.is_file()
    ):
        raise BuildFailed(
            f"heroku.yml: build.docker.{str(name)[:80]} names {str(path)[:200]!r}, which is no file of the source."
        )
    return recipe


def _command(value: Any, where: str) -> tuple[str, str]:
    """The command and the image that it names, if any."""
    if isinstance(value, dict):
        command, image = value.get("command", ""), str(value.get("image", ""))
    else:
        command, image = value, ""
    text = " && ".join(map(str, command)) if isinstance(command, list) else str(command or "")
    if not is_text(text) or len(text) > 10_000:
        raise BuildFailed(f"heroku.yml: {where} has a command that cannot be run.")
    return text.strip(), image


def _image(name: str, recipes: dict[str, Recipe], where: str) -> str:
    if name not in recipes:
        raise BuildFailed(
            f"heroku.yml: {where} runs the image of {name[:80]}, which build.docker does not have."
        )
    return name


def _type(name: Any, where: str) -> str:
    if not TYPE.fullmatch(str(name)):
        raise BuildFailed(f"heroku.yml: {where} has a process type that is none: {str(name)[:80]!r}.")
    return str(name)


def _mapping(found: Any, where: str) -> dict[Any, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BuildFailed(f"heroku.yml: {where} has to be a mapping.")
    return found


def _text(value: Any, where: str) -> str:
    if isinstance(value, dict | list) or value is None:
        raise BuildFailed(f"heroku.yml: {where} has to be text.")
    return str(value)
