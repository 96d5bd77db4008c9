"""Three engines and a registry that all of them reach, and a conductor over them."""

import pytest

from tests.docker import find
from tests.images import Registry
from tests.ports import free_port
from tests.rig import Rig, can_rig


@pytest.fixture(scope="module")
def rig():
    can_rig()
    made = Rig()
    try:
        yield made.start(find().lean())
    finally:
        made.stop()


@pytest.fixture(scope="module")
def registry(rig, tmp_path_factory):
    found = Registry(f"{rig.net}.1:{free_port()}", tmp_path_factory.mktemp("registry"))
    yield found
    found.stop()
