"""heroku3, a client that is not the CLI, against a real platform."""

import heroku3
import heroku3.api
import heroku3.models.app
import pytest
import requests
from heroku3.rendezvous import Rendezvous

from tests.cli.conftest import FILES
from tests.conftest import eventually
from tests.platform.harness import repository

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def conn(platform):
    """heroku3 has the API's address, and the certificate that it trusts for `run`, in its code."""
    ca = str(platform.data / "tls" / "ca.pem")

    class Trusting(Rendezvous):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.cert = ca

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heroku3.api, "HEROKU_URL", f"http://localhost:{platform.port}")
        patch.setattr(heroku3.models.app, "Rendezvous", Trusting)
        yield heroku3.from_key(platform.token, session=requests.Session())


@pytest.fixture(scope="module")
def app(conn, platform, tmp_path_factory):
    made = conn.create_app(name="third-way")  # which asks for the stack cedar in the region us
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


def test_scale_and_dynos(app):
    app.process_formation()["worker"].scale(1)
    eventually(lambda: {"web", "worker"} <= {dyno.type for dyno in app.dynos()}, seconds=30)
    app.process_formation()["worker"].scale(0)
    eventually(lambda: [dyno.type for dyno in app.dynos()] == ["web"], seconds=30)
    app.restart()


def test_logs(app):
    lines = app.get_log(lines=200).splitlines()
    assert any("heroku[web.1]: State changed from starting to up" in line for line in lines)
    assert all(line.startswith("20") for line in lines)  # text, not events


def test_run(app):
    output, dyno = app.run_command("echo six times seven is $((6 * 7))", printout=False)
    assert "six times seven is 42" in output and dyno.name.startswith("run.")


def test_what_else_an_app_has(app, platform):
    assert [one.user.email for one in app.collaborators()] == ["alice@example.com"]
    app.add_domain("www.third-way.example", None)
    assert "www.third-way.example" in [one.hostname for one in app.domains()]
    app.remove_domain("www.third-way.example")
    assert list(app.addons()) == []
    app.enable_maintenance_mode()
    eventually(lambda: platform.get("third-way")[0] == 503, seconds=30)
    app.disable_maintenance_mode()
    eventually(lambda: platform.get("third-way")[0] == 200, seconds=30)


def test_rename_and_delete(conn, app):
    conn.create_app(name="fourth-way", stack_id_or_name="slipway-24", region_id_or_name="local").rename(
        "fifth-way"
    )
    conn.app("fifth-way").delete()
    assert "fifth-way" not in [one.name for one in conn.apps()]
