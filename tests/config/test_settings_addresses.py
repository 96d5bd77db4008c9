"""Addresses with a password in them, where something is wrong with them."""

import traceback

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import addresses

SQLITE, POSTGRESQL = "django.db.backends.sqlite3", "django.db.backends.postgresql"


def test_what_can_be_read():
    found = addresses.database("postgres://me:hun%2Fter2@db.example.com:5433/slipway")
    assert (found["ENGINE"], found["PASSWORD"], found["PORT"]) == (POSTGRESQL, "hun/ter2", 5433)
    assert addresses.database("sqlite:////tmp/x.sqlite3")["ENGINE"] == SQLITE
    assert (
        addresses.mail("smtp+tls://me:hun%2Fter2@mail.example.com:587")["EMAIL_HOST_PASSWORD"] == "hun/ter2"
    )
    for url in ("", "redis://:hun%2Fter2@127.0.0.1:6379/0", "unix:///run/redis.sock"):
        assert addresses.bus(url) == url
    assert addresses.mail("dummymail://")["EMAIL_BACKEND"].endswith("dummy.EmailBackend")


@pytest.mark.promise("I-37")
@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:hunter2/x@db.example.com:5433/slipway",
        "postgres://me@hunter2:hunter2@[::1/slipway",
        "hunter2",
        "hunter2://me:hunter2@db.example.com/slipway",
        "mysql://me:hunter2@db.example.com/slipway",
    ],
)
def test_what_can_not_is_not_quoted(url):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL") as refused:
        addresses.database(url)
    assert "hunter2" not in _told(refused.value)


@pytest.mark.promise("I-37")
@pytest.mark.parametrize(
    "url", ["smtp://me:hunter2/x@mail.example.com:25", "hunter2://mail.example.com", "smtp://me:x@h:hunter2"]
)
def test_nor_is_that_of_a_mail_server(url):
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL") as refused:
        addresses.mail(url)
    assert "hunter2" not in _told(refused.value)


@pytest.mark.promise("I-37")
@pytest.mark.parametrize("url", ["redis://:hunter2/x@127.0.0.1:6379/0", "redis://[:hunter2@x", "hunter2"])
def test_nor_is_that_of_the_bus(url):
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL") as refused:
        addresses.bus(url)
    assert "hunter2" not in _told(refused.value)


def _told(error):
    """All that a terminal or a log shows of it, but for the lines of this file."""
    return "".join(
        line for line in traceback.format_exception(error) if "test_settings_addresses.py" not in line
    )
