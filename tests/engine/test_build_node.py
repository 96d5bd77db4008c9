"""Node apps."""

import os
import shutil
import subprocess

import pytest

from core.errors import BuildFailed
from engine.builder.builtin.semver import fits, parse
from tests.engine.workshop import Workshop

if shutil.which("node") is None or shutil.which("npm") is None:
    if os.environ.get("CI") == "true":
        pytest.fail("Node.js is absent: apt-get install nodejs npm", pytrace=False)
    pytest.skip("Node.js is absent: apt-get install nodejs npm", allow_module_level=True)

PACKAGE = '{"name": "x", "version": "1.0.0", "scripts": {"start": "node server.js"}, "dependencies": {"ms": "2.1.3"}}'


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return Workshop(tmp_path_factory.mktemp("node") / "data")


def test_it_installs_and_runs(shop):
    result = shop.build({"package.json": PACKAGE, "server.js": "console.log(require('ms')(60000))"})
    assert result.process_types == {"web": "npm start"}
    assert "-----> Installing packages with npm" in shop.output
    ran = subprocess.run(["node", "server.js"], cwd=shop.tree(), capture_output=True, text=True)
    assert ran.stdout == "1m\n"
    assert not (shop.tree() / "node_modules").is_symlink()
    shop.build({"package.json": PACKAGE, "server.js": "// changed"})
    assert "Using the packages of the last build" in shop.output
    assert (shop.tree() / "node_modules/ms/index.js").exists()


def test_an_app_without_packages(shop):
    shop.build({"package.json": "{}", "server.js": "console.log('alone')"}, app="alone")
    assert list((shop.tree() / "node_modules").iterdir()) == []
    assert shop.result.process_types == {"web": "node server.js"}


def test_a_build_script_sees_config_and_development_packages_and_they_are_left_out(shop):
    package = (
        '{"name": "y", "version": "1.0.0", "scripts": {"build": "node build.js"}, "dependencies": {},'
        ' "devDependencies": {"ms": "2.1.3"}}'
    )
    script = "require('fs').writeFileSync('built', require('ms')(1000) + process.env.FLAVOUR + process.env.NODE_ENV)"
    shop.build({"package.json": package, "build.js": script}, app="built", env={"FLAVOUR": "-vanilla-"})
    assert (shop.tree() / "built").read_text() == "1s-vanilla-production"
    assert not (shop.tree() / "node_modules/ms").exists()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"package.json": "{,}"}, "package.json, line 1, column 2"),
        ({"package.json": "[]"}, "package.json has to be an object"),
        (
            {"package.json": '{"engines": {"node": "^4.2"}}'},
            r"package.json asks for Node.js \^4.2 \(engines.node\)",
        ),
        (
            {"package.json": "{}", "yarn.lock": "", "package-lock.json": ""},
            "lock files of several package managers",
        ),
        ({"package.json": '{"scripts": {"build": "exit 7"}}'}, "Running build failed"),
    ],
)
def test_what_is_wrong_is_told(shop, files, reason):
    with pytest.raises(BuildFailed, match=reason):
        shop.build(files, app="wrong")


@pytest.mark.parametrize(
    ("wanted", "version", "answer"),
    [
        ("20.x", "20.1.0", True),
        ("20", "21.0.0", False),
        (">=18", "20.1.0", True),
        (">= 18 < 20", "20.0.0", False),
        ("^18.12.0 || >=20", "19.0.0", False),
        ("^0.2.3", "0.2.9", True),
        ("^0.2.3", "0.3.0", False),
        ("~20.1", "20.1.9", True),
        ("~20.1.2", "20.2.0", False),
        ("18 - 20", "20.9.9", True),
        ("<=20", "20.9.9", True),
        (">20", "20.9.9", False),
        ("=20.1.0", "20.1.0", True),
        ("*", "1.0.0", True),
        ("twenty", "20.0.0", None),
    ],
)
def test_ranges(wanted, version, answer):
    assert fits(parse(f"v{version}"), wanted) is answer
