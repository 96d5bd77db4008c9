"""Python apps: their packages go into a relocatable virtual environment at `.slipway/python`."""

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import BuildFailed
from engine.builder.builtin import python_inputs as inputs
from engine.builder.context import Context
from engine.builder.interpreters import Interpreter, choose
from engine.builder.kept import Kept

HERE = b".slipway/python"
PROFILE = """\
export VIRTUAL_ENV="$HOME/.slipway/python"
export PATH="$VIRTUAL_ENV/bin:$PATH"
export PYTHONUNBUFFERED="${PYTHONUNBUFFERED:-1}" PYTHONHASHSEED="${PYTHONHASHSEED:-random}"
export PYTHONPATH="${PYTHONPATH-$HOME}" LANG="${LANG:-C.UTF-8}"
export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS---access-logfile -}"
export WEB_CONCURRENCY="${WEB_CONCURRENCY:-2}" FORWARDED_ALLOW_IPS="${FORWARDED_ALLOW_IPS-*}"
unset PYTHONHOME
"""
KNOWS_PREFIXES = 9  # the minor version since which compileall can be told another name of what it compiles
VERSION = "import platform; print(platform.python_version())"


class Python:
    """Installs what the app requires with uv, once per set of requirements."""

    LOOKS_FOR = "requirements.txt, uv.lock, poetry.lock, Pipfile.lock or pyproject.toml (Python)"

    def detect(self, build: Context) -> str | None:
        return "Python" if any((build.root / name).is_file() for name in inputs.MARKS) else None

    def compile(self, build: Context) -> None:
        self._hook(build, "pre_compile")
        wanted = inputs.read(build)
        interpreter = self._interpreter(build, wanted)
        key = _key(interpreter, wanted)
        kept = Kept(build, "python", HERE)
        if kept.fits(key):
            build.say(f"Using Python {kept.note}")
            build.say(f"Using the packages of the last build ({wanted.source} has not changed)")
        else:
            self._install(build, interpreter, wanted, kept, key)
        kept.place()
        place = build.root / HERE.decode()
        build.env.update(
            VIRTUAL_ENV=str(place), PATH=f"{place}/bin:{build.env['PATH']}", PYTHONDONTWRITEBYTECODE="1"
        )
        build.write_profile("python", PROFILE)
        self._collect_static(build)
        if self._hook(build, "post_compile"):
            # It may have added packages: pack what there is now, and start afresh next time.
            kept.finish("changed by bin/post_compile")
            kept.place()

    def release(self, build: Context) -> dict[str, str]:
        bin_folder = build.root / HERE.decode() / "bin"
        if not (bin_folder / "gunicorn").exists():
            return {}
        found = sorted(build.root.glob("*/wsgi.py")) if (build.root / "manage.py").is_file() else []
        if len(found) == 1 and found[0].parent.name.isidentifier():
            return {"web": f"gunicorn {found[0].parent.name}.wsgi"}
        return {}

    def _interpreter(self, build: Context, wanted: inputs.Inputs) -> Interpreter:
        found, hidden = build.usable_pythons(), build.closed_pythons()
        if wanted.version:
            return choose(wanted.version, found, hidden, wanted.version_file)
        fitting = [one for one in found if inputs.allows(wanted.requires_python, one.minor)]
        if not fitting:
            raise BuildFailed(_no_python(wanted, found, hidden))
        own = next((one for one in fitting if one.minor == sys.version_info.minor), None)
        return own or fitting[0]  # the platform's own version is known to work here

    def _install(
        self, build: Context, interpreter: Interpreter, wanted: inputs.Inputs, kept: Kept, key: str
    ) -> None:
        venv = kept.begin()
        version = build.ask([interpreter.path, "-I", "-S", "-c", VERSION])
        if version is None:
            raise BuildFailed(f"The Python at {interpreter.path} does not run.")
        build.say(f"Using Python {version}")
        if wanted.version.count(".") == 2 and not wanted.version.endswith(version):
            build.warn(
                f"{wanted.version_file} asks for {wanted.version}; {version} is what is installed of it."
            )
        env = _uv_env(build)
        make = [build.uv, "venv", "--quiet", "--relocatable", "--no-project", "--python"]
        if build.run([*make, str(interpreter.path), str(venv)], env=env) != 0:
            raise BuildFailed("uv could not make the virtual environment.")
        build.say(f"Installing packages from {wanted.source} with uv")
        inputs.install(build, wanted, venv, env)
        _compile(build, interpreter, venv)
        kept.finish(key, version)

    def _collect_static(self, build: Context) -> None:
        """As Django wants it, when the app is of it and says where static files go."""
        if build.config.get("DISABLE_COLLECTSTATIC", "0") not in ("", "0"):
            return
        manage = build.root / "manage.py"
        packages = build.root / HERE.decode() / "lib"
        if not manage.is_file() or not any(packages.glob("python3*/site-packages/django")):
            return
        if not _mentions_static(build.root):
            return
        build.say("$ python manage.py collectstatic --noinput")
        python = build.root / HERE.decode() / "bin/python"
        env = build.exported()
        if build.run([python, "manage.py", "collectstatic", "--noinput", "--traceback"], env=env) != 0:
            raise BuildFailed(
                "Collecting static files failed: `python manage.py collectstatic --noinput`. Put it right, or set the "
                "config var DISABLE_COLLECTSTATIC to 1."
            )

    def _hook(self, build: Context, name: str) -> bool:
        script = build.root / "bin" / name
        if not script.is_file():
            return False
        build.say(f"Running bin/{name}")
        with script.open("rb") as file:
            has_shebang = file.read(2) == b"#!"
        if has_shebang and not os.access(script, os.X_OK):
            script.chmod(0o755)
        argv: list[str | Path] = [script] if has_shebang else ["/bin/bash", script]
        if build.run(argv, env=build.exported()) != 0:
            raise BuildFailed(f"bin/{name} failed.")
        return True


def _no_python(wanted: inputs.Inputs, found: Sequence[Interpreter], hidden: Sequence[Interpreter]) -> str:
    there = ", ".join(dict.fromkeys(one.version for one in found)) or "none"
    asked = f" that pyproject.toml allows ({wanted.requires_python})" if wanted.requires_python else ""
    text = f"No Python{asked} is installed on this machine where dynos can run it (installed: {there}). "
    closed = next((one for one in hidden if inputs.allows(wanted.requires_python, one.minor)), None)
    if closed is not None:
        text += f"There is one at {closed.path}, but the system users that dynos run as cannot reach it. "
    return text + "Have the operator install one, such as: uv python install --install-dir /opt/python 3.13"


def _mentions_static(root: Path) -> bool:
    """Whether some settings module has STATIC_ROOT, without which there is nowhere to collect to."""
    for pattern in (
        "settings.py",
        "*/settings.py",
        "*/settings/*.py",
        "*/*/settings.py",
        "*/*/settings/*.py",
    ):
        for path in root.glob(pattern):
            if re.search(rb"^\s*STATIC_ROOT|STORAGES|['\"]STATIC_ROOT", path.read_bytes(), re.MULTILINE):
                return True
    return False


def _key(interpreter: Interpreter, wanted: inputs.Inputs) -> str:
    real = interpreter.path.resolve()
    about = real.stat()
    text = f"{interpreter.path}\0{real}\0{about.st_size}\0{about.st_mtime_ns}\0{wanted.digest}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _uv_env(build: Context) -> dict[str, str]:
    passed = build.exported()
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
    }


def _compile(build: Context, interpreter: Interpreter, venv: Path) -> None:
    """Compile what was installed, under the names that it has in a dyno instead of those in this app's cache: so the same
    packages make the same layer, which is then unpacked once for all apps. What can't be compiled is left as it is."""
    argv: list[str | Path] = [venv / "bin/python", "-s", "-m", "compileall", "-qq", "-j", "0"]
    argv += ["--invalidation-mode", "unchecked-hash"]  # slugs change the times of files
    if interpreter.minor >= KNOWS_PREFIXES:
        argv += ["-s", venv, "-p", f"/app/{HERE.decode()}"]
    build.run([*argv, venv / "lib"], env={"PYTHONHASHSEED": "0"}, cwd=venv)
