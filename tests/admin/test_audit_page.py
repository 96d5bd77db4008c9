"""The audit, run from a page."""

import pytest

from config.admin_site import audits
from releases.models import Release
from tests.factories import make_app
from tests.waiting import eventually


@pytest.fixture
def ran(settings, tmp_path, transactional_db, operator, client):
    settings.DATA = tmp_path

    def run():
        assert client.post("/admin/audit/").headers["Location"] == "/admin/audit/"
        eventually(lambda: not audits.last()["under_way"], 20)
        return " ".join(client.get("/admin/audit/").text.split())

    return run


def test_looking_runs_nothing(settings, tmp_path, operator, client):
    settings.DATA = tmp_path
    assert "No audit has been run from here yet." in client.get("/admin/audit/").text
    assert not (tmp_path / "run" / "audit.json").exists()


def test_all_is_well(ran):
    text = ran()
    assert "All is as promised" in text and "without a running conductor" in text


def test_what_is_broken_is_listed(ran, alice):
    app = make_app("shop", owner=alice, released=True)
    Release.objects.filter(app=app).update(version=7)
    text = ran()
    assert "<code>I-01</code>" in text and "app shop" in text and "violation" in text


def test_others_can_not_run_it(settings, tmp_path, client, alice):
    settings.DATA = tmp_path
    client.force_login(alice)
    assert client.post("/admin/audit/", follow=True).status_code == 404
    assert not (tmp_path / "run" / "audit.json").exists()
