"""heroku3, a client that is not the CLI, against a real platform."""

import heroku3
import heroku3.api
import pytest
import requests

from tests.cli.conftest import FILES
from tests.conftest import eventually
from tests.platform.harness import repository

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def conn(platform):
    """heroku3 has the API's address in its code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heroku3.api, "HEROKU_URL", f"http://localhost:{platform.port}")
        yield heroku3.from_key(platform.token, session=requests.Session())


@pytest.fixture(scope="module")
def app(conn, platform, tmp_path_factory):
    made = conn.create_app(name="third-way", stack_id_or_name="slipway-24", region_id_or_name="local")
    folder = tmp_path_factory.mktemp("third") / "way"
    platform.push(repository(folder, **FILES), "third-way")
    eventually(lambda: platform.get("third-way")[0] == 200, seconds=60)
    return made


def test_apps_and_the_account(conn, app):
    assert conn.account().email == "alice@example.com"
    assert "third-way" in [one.name for one in conn.apps()]
    assert conn.app("third-way").id == app.id
    assert conn.ratelimit_remaining() > 0


def test_config_and_releases(conn, app, platform):
    config = app.config()
    config["GREETING"] = "bonjour"
    assert config.to_dict()["GREETING"] == "bonjour"
    eventually(lambda: platform.get("third-way") == (200, "bonjour from web.1"), seconds=30)
    del config["GREETING"]
    assert "GREETING" not in conn.app("third-way").config().to_dict()
    versions = [release.version for release in app.releases(order_by="version", sort="desc")]
    assert versions == sorted(versions, reverse=True) and len(versions) >= 3
