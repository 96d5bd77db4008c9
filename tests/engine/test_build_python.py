"""Python apps. One workshop for the whole file: packages are fetched once."""

import os
import subprocess
import sys

import pytest

from core.errors import BuildFailed
from engine.builder.builtin.python_inputs import allows
from engine.builder.interpreters import CLOSED, OPEN, Interpreter, choose, search_folders
from tests.engine.workshop import Workshop

APP = {
    "requirements.txt": "flask==3.1.*\ngunicorn\n",
    "Procfile": "web: gunicorn app:app",
    "app.py": "from flask import Flask\napp = Flask(__name__)\n",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = Workshop(tmp_path_factory.mktemp("python") / "data")
    shop.build(APP)
    shop.first_output, shop.first_tree = shop.output, shop.tree()
    return shop


def run(tree, command):
    """What a command prints when it is started as a dyno would."""
    profile = "for f in .profile.d/*.sh; do . $f; done; "
    env = {"HOME": str(tree), "PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        ["bash", "-c", profile + command], cwd=tree, env=env, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_installs_and_runs(shop):
    assert "-----> Python app detected" in shop.first_output
    assert "-----> Installing packages from requirements.txt with uv" in shop.first_output
    assert " + flask==3.1" in shop.first_output
    assert shop.result.process_types == {"web": "gunicorn app:app"}
    out = run(shop.first_tree, "python -c 'import app, flask, sys; print(sys.prefix); print(flask.__file__)'")
    assert out.splitlines()[0] == str(shop.first_tree / ".slipway/python")
    assert out.splitlines()[1].startswith(str(shop.first_tree))
    assert "gunicorn (version" in run(shop.first_tree, "gunicorn --version")


def test_what_is_imported_is_compiled_already(shop):
    packages = next((shop.first_tree / ".slipway/python/lib").glob("python3.*/site-packages"))
    assert list((packages / "flask/__pycache__").glob("app.*.pyc"))
    out = run(
        shop.first_tree,
        "python -v -c 'import flask.app' 2>&1 | grep -c 'code object from.*flask/.*[.]py$' || true",
    )
    assert out.strip() == "0"


def test_apps_with_the_same_packages_share_their_files(shop):
    shop.build({**APP, "app.py": APP["app.py"] + "# another one\n"}, app="another")
    assert " + flask==3.1" in shop.output
    packages = next((shop.first_tree / ".slipway/python/lib").glob("python3.*/site-packages"))
    compiled = next((packages / "flask/__pycache__").glob("app.*.pyc"))
    assert (shop.tree() / compiled.relative_to(shop.first_tree)).samefile(compiled)


def test_a_change_of_code_alone_installs_nothing(shop):
    before = shop.result.digest
    shop.build({**APP, "app.py": APP["app.py"] + "# changed\n"})
    assert "Using the packages of the last build (requirements.txt has not changed)" in shop.output
    assert "Installing" not in shop.output
    assert shop.result.digest != before
    assert "3.1" in run(
        shop.tree(), "python -c 'import importlib.metadata as m; print(m.version(\"flask\"))'"
    )


def test_old_packages_find_pkg_resources_unless_the_app_names_its_setuptools(shop):
    files = {
        "requirements.txt": "gunicorn==20.1.0\n",
        "Procfile": "web: x",
    }  # it needs pkg_resources, and says setuptools
    shop.build(files)
    assert "gunicorn (version 20.1.0)" in run(shop.tree(), "gunicorn --version")
    shop.build(files | {"requirements.txt": "gunicorn==20.1.0\nsetuptools==82.*\n"})
    assert " + setuptools==82" in shop.output


def test_a_change_of_requirements_installs_anew(shop):
    shop.build({"requirements.txt": "-r base.txt\n", "base.txt": "itsdangerous\n", "Procfile": "web: x"})
    assert " + itsdangerous==" in shop.output
    shop.build({"requirements.txt": "-r base.txt\n", "base.txt": "itsdangerous\n", "Procfile": "web: x"})
    assert "Installing" not in shop.output
    shop.build(
        {"requirements.txt": "-r base.txt\n", "base.txt": "itsdangerous==2.1.2\n", "Procfile": "web: x"}
    )
    assert " + itsdangerous==2.1.2" in shop.output


def test_the_source_itself_as_a_package(shop):
    files = {
        "pyproject.toml": '[project]\nname = "mine"\nversion = "1"\ndependencies = ["itsdangerous"]\n'
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
        "src/mine/__init__.py": "ANSWER = 41\n",
    }
    shop.build(files, app="packaged")
    files["src/mine/__init__.py"] = "ANSWER = 42\n"
    shop.build(files, app="packaged")
    assert run(shop.tree(), "python -c 'import mine; print(mine.ANSWER)'") == "42\n"


def test_a_package_that_is_not_there(shop):
    with pytest.raises(BuildFailed, match=r"Installing the packages of requirements\.txt failed"):
        shop.build({"requirements.txt": "itsdangerous==0.0.0.1"}, app="wrong")
    assert "itsdangerous==0.0.0.1" in shop.output


def test_a_pipfile_lock(shop):
    lock = '{"_meta": {"sources": [], "requires": {}}, "default": {"itsdangerous": {"version": "==2.2.0"}}}'
    shop.build({"Pipfile": "", "Pipfile.lock": lock}, app="pipenv")
    assert " + itsdangerous==2.2.0" in shop.output


def test_a_poetry_lock(shop):
    lock = '[[package]]\nname = "itsdangerous"\nversion = "2.2.0"\ngroups = ["main"]\n'
    lock += '[[package]]\nname = "pytest"\nversion = "8.0.0"\ngroups = ["dev"]\n'
    shop.build({"pyproject.toml": "[tool.poetry]\n", "poetry.lock": lock}, app="poetry")
    assert " + itsdangerous==2.2.0" in shop.output
    assert "pytest" not in shop.output


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"Pipfile": ""}, r"no Pipfile\.lock"),
        ({"pyproject.toml": "[tool.black]\n"}, r"no \[project\] table"),
        ({"pyproject.toml": "nonsense"}, r"pyproject\.toml cannot be read"),
        (
            {"requirements.txt": "", ".python-version": "3.4"},
            r"\.python-version asks for Python 3\.4, which is not",
        ),
        ({"requirements.txt": "", "runtime.txt": "ruby"}, r"runtime\.txt asks for Python 'ruby'"),
        ({"requirements.txt": "", ".python-version": "3.11\n3.12"}, "names more than one version"),
        ({"Pipfile.lock": "{"}, r"Pipfile\.lock is damaged"),
    ],
)
def test_what_is_wrong_is_told(shop, files, reason):
    with pytest.raises(BuildFailed, match=reason):
        shop.build(files, app="wrong")


def test_django_collects_static_files(shop):
    settings = 'import os\nSECRET_KEY = os.environ["KEY"]\nINSTALLED_APPS = ["django.contrib.staticfiles"]\n'
    settings += 'STATIC_URL = "static/"\nSTATIC_ROOT = "collected"\nSTATICFILES_DIRS = ["assets"]\n'
    files = {
        "requirements.txt": "django\ngunicorn\n",
        "manage.py": "import os, sys\nos.environ['DJANGO_SETTINGS_MODULE'] = 'site1.settings'\n"
        "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
        "site1/__init__.py": "",
        "site1/wsgi.py": "",
        "site1/settings.py": settings,
        "assets/style.css": "body {}",
    }
    result = shop.build(files, app="django", env={"KEY": "k3y-of-django"})
    assert "python manage.py collectstatic --noinput" in shop.output
    assert (shop.tree() / "collected/style.css").read_text() == "body {}"
    assert result.process_types == {"web": "gunicorn site1.wsgi"}
    with pytest.raises(BuildFailed, match="set the config var DISABLE_COLLECTSTATIC to 1"):
        shop.build(files, app="django")
    shop.build(files, app="django", env={"DISABLE_COLLECTSTATIC": "1"})
    assert "collectstatic" not in shop.output


def test_hooks_run_before_and_after(shop):
    files = {
        "requirements.txt": "itsdangerous\n",
        "bin/pre_compile": "echo before $FLAVOUR",
        "bin/post_compile": '#!/bin/sh\npython -c "import itsdangerous" && echo after > made',
    }
    shop.build(files, app="hooks", env={"FLAVOUR": "vanilla"})
    assert "       before ********" in shop.output
    assert (shop.tree() / "made").read_text() == "after\n"
    with pytest.raises(BuildFailed, match=r"bin/pre_compile failed"):
        shop.build({**files, "bin/pre_compile": "exit 1"}, app="hooks")


def test_choosing_an_interpreter():
    old, new = Interpreter(10, "/a", OPEN), Interpreter(12, "/b", OPEN)
    far = Interpreter(13, "/root/c", CLOSED)
    assert choose("python-3.10.4", [new, old], [], "runtime.txt") is old
    assert choose("3", [new, old], [], ".python-version") is new
    with pytest.raises(
        BuildFailed, match=r"installed: 3\.12, 3\.10\)\. Change runtime.txt to 3\.12, or have"
    ):
        choose("3.14", [new, old], [], "runtime.txt")
    with pytest.raises(BuildFailed, match=r"There is one at /root/c, but"):
        choose("3.13", [new, old], [far], "runtime.txt")


def test_ranges_of_versions():
    assert [minor for minor in range(8, 15) if allows(">=3.10,<3.13", minor)] == [10, 11, 12]
    assert [minor for minor in range(8, 15) if allows("~=3.12", minor)] == [12, 13, 14]
    assert allows("", 9)
    assert not allows("==3.11.*", 12)


def test_shims_and_virtual_environments_are_no_interpreters(tmp_path):
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").touch()
    path = f"{tmp_path}/venv/bin:/x/shims:/usr/bin"
    assert search_folders(path, tmp_path, {})[0] == f"{sys.base_prefix}/bin"
    assert not {f"{tmp_path}/venv/bin", "/x/shims", ""} & set(
        search_folders(path, tmp_path, dict(os.environ))
    )
