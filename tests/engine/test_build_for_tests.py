"""Builds that are to be tested, and the look into an archive that comes before."""

import gzip
import shutil

import pytest

from core.errors import BuildFailed
from engine.builder.peek import peek
from engine.builder.procfile import MAX_BYTES
from tests.engine.workshop import Workshop, tar


@pytest.fixture
def shop(tmp_path):
    return Workshop(tmp_path / "data")


def test_a_buildpacks_test_compile_takes_the_place_of_compile(shop):
    shop.build({"look": "echo compiled", "Procfile": "web: x"}, buildpacks=["two"], test=True)
    assert "-----> Compiling for tests" in shop.output
    assert "compiled" not in shop.output
    shop.build({"one": ""}, buildpacks=["one"], test=True)  # which has none
    assert "built 1 times" in shop.output


def test_python_has_what_only_tests_require(shop):
    files = {
        "requirements.txt": "",
        "requirements-test.txt": "-r more.txt\n",
        "more.txt": "./tool\n",
        "tool/pyproject.toml": '[project]\nname = "tool"\nversion = "1"\n[tool.setuptools]\npy-modules = ["tool"]\n',
        "tool/tool.py": "",
        "Procfile": "web: x",
    }
    shop.build(files, env={"PIP_NO_BUILD_ISOLATION": "1"})
    assert not list(shop.tree().glob(".slipway/python/lib/*/site-packages/tool*"))
    shop.build(files, test=True)
    assert list(shop.tree().glob(".slipway/python/lib/*/site-packages/tool*"))


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js is absent: apt-get install nodejs npm")
def test_node_keeps_what_only_development_needs(shop):
    package = '{"name": "y", "version": "1.0.0", "devDependencies": {"helper": "file:./helper"}}'
    helper = '{"name": "helper", "version": "1.0.0"}'
    files = {"package.json": package, "helper/package.json": helper, "Procfile": "web: x"}
    shop.build(files)
    assert not (shop.tree() / "node_modules/helper").exists()
    shop.build(files, test=True)
    assert (shop.tree() / "node_modules/helper/package.json").exists()
    assert "NODE_ENV:-test" in (shop.tree() / ".profile.d/nodejs.sh").read_text()


# --- peek -----------------------------------------------------------------------------------------------------------------


def write(tmp_path, data):
    path = tmp_path / "source"
    path.write_bytes(data)
    return path


def test_it_finds_files_by_name_in_any_kind_of_archive(tmp_path):
    data = tar({"README": "x", "./app.json": "{}", "deep/app.json": "no", "bin/test": "#!/bin/sh"})
    for packed in (data, gzip.compress(data)):
        found = peek(write(tmp_path, packed), ["app.json", "bin/test", "absent"], max_bytes=10**6)
        assert found == {"app.json": b"{}", "bin/test": b"#!/bin/sh"}


def test_a_long_file_is_cut_off_where_it_is_seen_to_be_too_long(tmp_path):
    found = peek(write(tmp_path, tar({"app.json": "x" * 2 * MAX_BYTES})), ["app.json"], max_bytes=10**7)
    assert len(found["app.json"]) == MAX_BYTES + 1


def test_a_bomb_and_a_damaged_archive_are_turned_down(tmp_path):
    bomb = gzip.compress(tar({"zeros": bytes(5 * 10**6)}))
    with pytest.raises(BuildFailed, match="unpacks to more"):
        peek(write(tmp_path, bomb), ["app.json"], max_bytes=10**6)
    with pytest.raises(BuildFailed, match="damaged"):
        peek(write(tmp_path, b"no archive at all" * 100), ["app.json"], max_bytes=10**6)
