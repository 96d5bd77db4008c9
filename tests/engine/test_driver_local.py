import itertools

import pytest

from engine.drivers.local import LocalDriver
from tests.engine.driver_contract import DriverContract

PORTS = range(21000, 21999)


@pytest.fixture(params=["isolated", "bare"])
def bare(request):
    return request.param == "bare"


class TestLocalDriver(DriverContract):
    @pytest.fixture
    def driver(self, tmp_path, lines, slugs, bare):
        driver = LocalDriver(
            tmp_path / "driver", sink=lines, tree=slugs.tree, instance="test", ports=PORTS, bare=bare
        )
        yield driver
        driver.close()
