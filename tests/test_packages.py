"""Every installation gets the versions that the tests ran with: constraints.txt names them all."""

import re
from importlib import metadata
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
# What venv brings along, and what a Python may have beside it.
NOT_OURS = {"pip", "setuptools", "wheel"}


def name_of(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_all_that_is_installed_is_pinned():
    pinned = {
        name_of(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", CONSTRAINTS.read_text(), re.M)
    }
    installed = {name_of(each.metadata["Name"]): each.version for each in metadata.distributions()}
    others = {name: found for name, found in installed.items() if pinned.get(name) != found}
    assert set(others) <= NOT_OURS, "run bin/lock, then bin/check once more"
