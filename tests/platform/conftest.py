import shutil
import tempfile
from pathlib import Path

import pytest

from tests.platform.harness import Platform


@pytest.fixture(scope="module")
def platform():
    """A running platform with Alice's account and token, shared by a module."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-platform-"))
    instance = Platform(folder / "data").start()
    instance.sign_up()
    yield instance
    instance.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh():
    """Makes platforms of a test's own, not started yet; stops what still runs afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-fresh-"))
    made: list[Platform] = []

    def make(name: str = "data", **settings: str) -> Platform:
        made.append(Platform(folder / name, **settings))
        return made[-1]

    yield make
    for instance in made:
        if instance.process is not None:
            instance.stop()
    shutil.rmtree(folder, ignore_errors=True)
