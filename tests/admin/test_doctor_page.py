"""What the doctor found, for operators."""

import time

import pytest

from conductor import doctor
from conductor.backups import history


@pytest.fixture(autouse=True)
def data(settings, tmp_path):
    settings.DATA, settings.URL = tmp_path, "http://localhost:1"
    (tmp_path / "run").mkdir()


def page(client, path="/admin/doctor/"):
    return " ".join(client.get(path).text.split())


def test_before_anything_was_found(operator, client):
    assert "Nothing has been found yet." in page(client)
    assert "not looked yet" in page(client, "/admin/")


def test_the_worst_comes_first_with_what_to_do(operator, client, settings):
    settings.SLIPWAY_KEYS = [*settings.SLIPWAY_KEYS, "<b>weak:x"]
    doctor.note()
    text = page(client)
    assert "&lt;b&gt;weak" in text and "<b>weak" not in text
    assert text.index("Make one with manage.py newkeys.") < text.index(
        "apt-get install git" if "apt-get" in text else "fsync"
    )
    assert "problem" in page(client, "/admin/")


def test_the_overview_tells_of_the_last_backup(operator, client):
    assert "None is made by itself" in page(client, "/admin/")
    history.note(time.time() - 7200, file="/x", bytes=5_000_000, seconds=1)
    assert "2 h 0 min ago" in page(client, "/admin/") or "2 h ago" in page(client, "/admin/")
    history.note(time.time() - 72 * 3600, file="/x", bytes=5_000_000, seconds=1)
    assert "late" in page(client, "/admin/")


def test_to_others_it_is_not_there(alice, client):
    client.force_login(alice)
    assert client.get("/admin/doctor/", follow=True).status_code == 404
