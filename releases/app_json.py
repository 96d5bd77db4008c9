"""What an app.json asks for, read in one place: for builds, review apps, tests and app setups.

`read(app_json, "review")` is the whole of it with `environments.review` laid over: `env`, `formation` and `scripts` key
by key, everything else as a whole. What is not understood is left out and told of: a *warning* hinders nothing, an
*error* ends a setup, which would make an app that lacks something. The text itself was read, within bounds, by
`engine.builder.procfile.parse_app_json`.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from apps.actions import MAX_DYNOS, check_buildpacks, plain_buildpack
from core import names
from core.errors import Refusal
from engine.spec import SIZES

MOST = 200  # entries of one kind
MOST_COMMAND = 10_000
GENERATED_BYTES = 64  # 128 characters, as Heroku makes them
# Beside Heroku's keys: what editors write, and Dokku's dialect.
KNOWN = frozenset(
    [
        "name",
        "description",
        "keywords",
        "website",
        "repository",
        "logo",
        "success_url",
        "stack",
        "image",
        "scripts",
        "env",
        "formation",
        "addons",
        "buildpacks",
        "environments",
        "$schema",
        "cron",
        "healthchecks",
        "mirrors",
    ]
)
SCRIPTS = frozenset(["postdeploy", "pr-predestroy", "test", "test-setup", "dokku"])
OF_VAR = frozenset(["description", "value", "required", "generator", "sync"])
OF_TYPE = frozenset(["quantity", "size", "max_parallel", "autoscaling", "service"])
MERGED = ("env", "formation", "scripts")
OLD_SIZES = {"free": "eco", "hobby": "basic"}
DEFAULT_SIZE = "standard-1x"


@dataclass(frozen=True)
class Var:
    """A config var that app.json tells of."""

    value: str = ""
    required: bool = True
    generated: bool = False
    description: str = ""


@dataclass(frozen=True)
class AppJson:
    """Everything that was understood; entries of `addons` and `cron` are read by who acts on them."""

    name: str = ""
    description: str = ""
    success_url: str = ""
    stack: str = ""
    env: Mapping[str, Var] = field(default_factory=dict)
    formation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # {type: {quantity, size}}
    buildpacks: tuple[str, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)
    addons: Any = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def values(self, *, without: Container[str] = ()) -> dict[str, str]:
        """The config vars that it gives an app, but for those that the app has: generated ones are made now."""
        return {
            key: token_hex(GENERATED_BYTES) if var.generated else var.value
            for key, var in self.env.items()
            if key not in without and (var.generated or var.value)
        }

    def missing(self, have: Container[str]) -> list[str]:
        """The names of config vars that it requires, gives no value for, and that are not among `have`."""
        return [
            key
            for key, var in self.env.items()
            if var.required and not var.value and not var.generated and key not in have
        ]

    @property
    def required(self) -> list[str]:
        """The names of all config vars that an app can't do without."""
        return [key for key, var in self.env.items() if var.required]


def merged(app_json: Mapping[str, Any], environment: str) -> dict[str, Any]:
    """The app.json of this environment ("review", "test"); of none, as it is but for its environments."""
    base = {key: value for key, value in app_json.items() if key != "environments"}
    environments = app_json.get("environments")
    over = environments.get(environment) if environment and isinstance(environments, dict) else None
    if not isinstance(over, dict):
        return base
    for key, value in over.items():
        below = base.get(key)
        if key in MERGED and isinstance(below, dict) and isinstance(value, dict):
            base[key] = {**below, **value}
        else:
            base[key] = value
    return base


def read(app_json: Mapping[str, Any], environment: str = "") -> AppJson:
    """What app.json asks for in this environment. Never raises: what is wrong is among its warnings and errors."""
    return _Reader(app_json, environment).read()


class _Reader:
    """One reading: collects what it finds wrong as it goes."""

    def __init__(self, app_json: Mapping[str, Any], environment: str) -> None:
        self._whole = app_json
        self._found = merged(app_json, environment)
        self._warnings: list[str] = []
        self._errors: list[str] = []

    def read(self) -> AppJson:
        self._unknown(self._whole, KNOWN, "")
        environments = self._whole.get("environments", {})
        if not isinstance(environments, dict):
            self._error("environments", "has to be an object.")
            environments = {}
        for name, value in list(environments.items())[:MOST]:
            if isinstance(value, dict):
                self._unknown(value, KNOWN, f"environments.{name}.")
            else:
                self._error(f"environments.{name}", "has to be an object.")
        return AppJson(
            name=self._text("name", 300),
            description=self._text("description", 2000),
            success_url=self._text("success_url", 2000),
            stack=self._text("stack", 40),
            env=dict(self._env()),
            formation=dict(self._formation()),
            buildpacks=self._buildpacks(),
            scripts=dict(self._scripts()),
            addons=self._found.get("addons", ()),
            warnings=tuple(self._warnings),
            errors=tuple(self._errors),
        )

    # --- its parts ----------------------------------------------------------------------------------------------

    def _env(self) -> Iterator[tuple[str, Var]]:
        for key, entry in self._entries("env"):
            where = f"env.{key}"
            try:
                names.check_config_key(key)
            except Refusal as refusal:
                self._error(where, f"can't be: {refusal.message}")
                continue
            if isinstance(entry, str):
                entry = {"value": entry}
            if not isinstance(entry, dict):
                self._error(
                    where, "has to be text, or an object with description, value, required, generator."
                )
                continue
            self._unknown(entry, OF_VAR, f"{where}.")
            var = self._var(where, entry)
            if var is not None:
                yield key, var

    def _var(self, where: str, entry: Mapping[str, Any]) -> Var | None:
        value, required = entry.get("value", ""), entry.get("required", True)
        generator, description = entry.get("generator"), entry.get("description", "")
        if not isinstance(value, str) or "\0" in value:
            self._error(f"{where}.value", "has to be text.")
            return None
        if not isinstance(required, bool):
            self._error(f"{where}.required", "has to be true or false.")
            return None
        if generator not in (None, "secret"):
            self._error(f"{where}.generator", "has to be “secret”: there is no other.")
            return None
        told = description[:500] if isinstance(description, str) else ""
        return Var(value, required, generated=generator == "secret" and not value, description=told)

    def _formation(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for type, entry in self._entries("formation"):
            where = f"formation.{type}"
            if not names.PROCESS_TYPE.fullmatch(type) or type == "release" or not isinstance(entry, dict):
                self._error(where, "has to be a process type with an object: quantity and size.")
                continue
            self._unknown(entry, OF_TYPE, f"{where}.")
            quantity = entry.get("quantity", 1)
            if isinstance(quantity, bool) or not isinstance(quantity, int) or not 0 <= quantity <= MAX_DYNOS:
                self._error(f"{where}.quantity", f"has to be a number from 0 to {MAX_DYNOS}.")
                continue
            yield type, {"quantity": quantity, "size": self._size(where, entry.get("size", DEFAULT_SIZE))}

    def _size(self, where: str, size: Any) -> str:
        wanted = size.lower() if isinstance(size, str) else ""
        wanted = OLD_SIZES.get(wanted, wanted)
        if wanted in SIZES:
            return wanted
        self._warn(f"{where}.size", f"is no size here: {DEFAULT_SIZE} is taken.")
        return DEFAULT_SIZE

    def _buildpacks(self) -> tuple[str, ...]:
        entries = self._found.get("buildpacks", [])
        if not isinstance(entries, list):
            self._error("buildpacks", "has to be a list.")
            return ()
        urls: list[Any] = [entry.get("url") if isinstance(entry, dict) else entry for entry in entries[:MOST]]
        wrong = next((at for at, url in enumerate(urls) if not isinstance(url, str)), None)
        if wrong is not None:
            self._error(f"buildpacks[{wrong}]", "has to be an object with the url of a buildpack.")
            return ()
        try:
            check_buildpacks(urls)
        except Refusal as refusal:
            self._error("buildpacks", f"can't be: {refusal.message}")
            return ()
        return tuple(plain_buildpack(url) for url in urls)

    def _scripts(self) -> Iterator[tuple[str, str]]:
        for name, entry in self._entries("scripts"):
            command = entry.get("command") if isinstance(entry, dict) else entry  # as once was written
            if name not in SCRIPTS:
                self._warn(f"scripts.{name}", "is unknown here, and left out.")
            elif name == "dokku":
                continue
            elif not isinstance(command, str) or "\0" in command or len(command) > MOST_COMMAND:
                self._error(f"scripts.{name}", f"has to be a command of {MOST_COMMAND:,} characters at most.")
            elif command.strip():
                yield name, command.strip()

    # --- parts of those -----------------------------------------------------------------------------------------

    def _entries(self, key: str) -> list[tuple[str, Any]]:
        found = self._found.get(key, {})
        if not isinstance(found, dict):
            self._error(key, "has to be an object.")
            return []
        if len(found) > MOST:
            self._error(key, f"has more than {MOST} entries.")
        return list(found.items())[:MOST]

    def _text(self, key: str, most: int) -> str:
        found = self._found.get(key, "")
        if isinstance(found, str):
            return found[:most]
        self._warn(key, "has to be text, and is left out.")
        return ""

    def _unknown(self, found: Mapping[str, Any], known: frozenset[str], where: str) -> None:
        for key in sorted(found.keys() - known)[:MOST]:
            self._warn(f"{where}{key}", "is unknown here, and left out.")

    def _warn(self, where: str, text: str) -> None:
        self._warnings.append(_line(where, text))

    def _error(self, where: str, text: str) -> None:
        self._errors.append(_line(where, text))


def _line(where: str, text: str) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in where[:80])
    return f"app.json: {shown} {text}"
