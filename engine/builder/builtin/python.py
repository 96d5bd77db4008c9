"""Python apps: their packages go into a relocatable virtual environment at `.slipway/python`."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import BuildFailed
from engine.builder.builtin import python_inputs as inputs
from engine.builder.builtin.interpreters import Interpreter, choose, installed
from engine.builder.context import Context
from engine.builder.pack import Layer, make_layer

HERE = b".slipway/python"
FORMAT = 1  # raise it when what is kept between builds changes
PROFILE = """\
export VIRTUAL_ENV="$HOME/.slipway/python"
export PATH="$VIRTUAL_ENV/bin:$PATH"
export PYTHONUNBUFFERED=1 PYTHONHASHSEED=random LANG="${LANG:-C.UTF-8}"
export PYTHONPATH="$HOME${PYTHONPATH:+:$PYTHONPATH}"
export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS:---access-logfile -}"
export WEB_CONCURRENCY="${WEB_CONCURRENCY:-2}"
unset PYTHONHOME
"""


@dataclass(frozen=True)
class Kept:
    """What lies in the cache beside the packages, and tells whether they still fit."""

    key: str
    version: str
    unpacked: int


class Python:
    """Installs what the app requires with uv, once per set of requirements."""

    LOOKS_FOR = "requirements.txt, uv.lock, pyproject.toml, Pipfile or poetry.lock (Python)"

    def detect(self, build: Context) -> str | None:
        return "Python" if any((build.root / name).is_file() for name in inputs.FILES) else None

    def compile(self, build: Context) -> None:
        wanted = inputs.read(build)
        found, hidden = installed(build.search, as_other=build.as_other, opened=build.opened)
        interpreter = self._interpreter(build, wanted, found, hidden)
        folder = build.cache / "python"
        key = _key(interpreter, wanted)
        kept = _kept(folder)
        if kept is None or kept.key != key:
            kept = self._install(build, interpreter, wanted, folder, key)
        else:
            build.say(f"Using Python {kept.version}")
            build.say(f"Using the packages of the last build ({wanted.source} has not changed)")
        self._place(build, folder, kept)

    def release(self, build: Context) -> dict[str, str]:
        return {}

    def _interpreter(
        self, build: Context, wanted: inputs.Inputs, found: list[Interpreter], hidden: list[Interpreter]
    ) -> Interpreter:
        if wanted.version:
            return choose(wanted.version, found, hidden, wanted.version_file)
        if not found:
            raise BuildFailed("No Python that dynos can run is installed on this machine.")
        return found[0]

    def _install(
        self, build: Context, interpreter: Interpreter, wanted: inputs.Inputs, folder: Path, key: str
    ) -> Kept:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        venv = folder / "venv"
        version = build.ask(
            [interpreter.path, "-I", "-S", "-c", "import platform; print(platform.python_version())"]
        )
        if version is None:
            raise BuildFailed(f"The Python at {interpreter.path} does not run.")
        build.say(f"Using Python {version}")
        env = _uv_env(build)
        made = build.run(
            [
                build.uv,
                "venv",
                "--quiet",
                "--relocatable",
                "--no-project",
                "--python",
                interpreter.path,
                venv,
            ],
            env=env,
        )
        if made != 0:
            raise BuildFailed("uv could not make the virtual environment.")
        build.say(f"Installing packages from {wanted.source} with uv")
        inputs.install(build, wanted, venv, env)
        layer = make_layer(venv, HERE, folder / "layer", max_bytes=build.max_bytes)
        kept = Kept(key, version, layer.unpacked)
        (folder / "kept.json").write_text(json.dumps(asdict(kept)))
        return kept

    def _place(self, build: Context, folder: Path, kept: Kept) -> None:
        """Put the packages where the next steps find them: a link now, the finished frame in the slug."""
        place = build.root / HERE.decode()
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(folder / "venv")
        build.layers.append(Layer(HERE, folder / "layer", kept.unpacked))
        build.env["VIRTUAL_ENV"] = str(place)
        build.env["PATH"] = f"{place}/bin:{build.env['PATH']}"
        build.write_profile("python", PROFILE)


def _kept(folder: Path) -> Kept | None:
    try:
        return Kept(**json.loads((folder / "kept.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _key(interpreter: Interpreter, wanted: inputs.Inputs) -> str:
    real = interpreter.path.resolve()
    about = real.stat()
    text = f"{FORMAT}\0{interpreter.path}\0{real}\0{about.st_size}\0{about.st_mtime_ns}\0{wanted.digest}"
    return hashlib.sha256(text.encode()).hexdigest()


def _uv_env(build: Context) -> dict[str, str]:
    passed = {name: value for name, value in build.config.items() if name.startswith(("UV_", "PIP_"))}
    index = {
        "UV_DEFAULT_INDEX": passed.get("PIP_INDEX_URL", ""),
        "UV_INDEX": passed.get("PIP_EXTRA_INDEX_URL", ""),
    }
    return {
        **{name: value for name, value in index.items() if value},
        **passed,
        "UV_CACHE_DIR": str(build.cache / "uv"),
        "UV_LINK_MODE": "copy",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "PYC_INVALIDATION_MODE": "UNCHECKED_HASH",  # slugs change the times of files
    }
