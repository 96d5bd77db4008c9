"""Add-ons by the stock CLI: a real key-value store is ordered, shared, changed and given up."""

import re

import pytest

from tests.cli.conftest import squeezed

APP, OTHER = ("-a", "example-addon-app"), ("-a", "example-other-app")


@pytest.fixture(scope="module")
def apps(heroku):
    heroku("create", "example-addon-app", "--no-remote")
    heroku("create", "example-other-app", "--no-remote")


def test_services_and_plans(heroku, apps):
    services = squeezed(heroku("addons:services"))
    assert "heroku-redis Heroku Key-Value Store ga" in services
    assert "storage Storage ga" in services and "loadbalancer Load balancer ga" in services
    plans = squeezed(heroku("addons:plans", "heroku-redis"))
    assert "default heroku-redis:mini" in plans and "$15/month" in plans
    assert "heroku-redis" in heroku("addons:docs", "heroku-redis", "--show-url")


def test_create_waits_until_it_is_there(heroku, apps):
    said = heroku("addons:create", "heroku-redis:mini", "--name", "example-store", "--wait", *APP)
    assert "REDIS_URL" in said and "example-store" in said
    heroku("addons:wait", "example-store")
    assert heroku("config:get", "REDIS_URL", *APP).startswith("redis://")
    assert "Attach REDIS (@ref:example-store)" in heroku("releases", *APP)
    listed = squeezed(heroku("addons", *APP))
    assert "heroku-redis (example-store)" in listed and "as REDIS" in listed
    info = squeezed(heroku("addons:info", "example-store"))
    assert (
        "Plan: heroku-redis:mini" in info and "State: created" in info and "example-addon-app::REDIS" in info
    )


def test_what_an_add_on_sets_cannot_be_set(heroku, apps):
    assert "is set by the add-on example-store" in heroku("config:set", "REDIS_URL=mine", *APP, status=2)


def test_attach_and_detach(heroku, apps):
    assert "CACHE" in heroku("addons:attach", "example-store", "--as", "CACHE", *OTHER)
    assert heroku("config:get", "CACHE_URL", *OTHER) == heroku("config:get", "REDIS_URL", *APP)
    refused = heroku("addons:attach", "example-store", "--as", "CACHE", *OTHER, status=2)
    assert "attached to example-other-app as CACHE already" in re.sub(r"[\s›]+", " ", refused)
    assert "Detaching CACHE" in heroku("addons:detach", "CACHE", *OTHER)
    assert heroku("config:get", "CACHE_URL", *OTHER) == ""


def test_a_log_archive_is_ordered_and_given_up(heroku, apps):
    said = heroku("addons:create", "papertrail", "--name", "example-archive", "--wait", *APP)
    assert "Created example-archive" in said
    assert "papertrail:choklad" in heroku("addons:info", "example-archive")
    assert "/addons/example-archive/" in heroku("addons:open", "papertrail", "--show-url", *APP)
    assert "Destroying" in heroku("addons:destroy", "example-archive", "--confirm", APP[1])


def test_upgrade_downgrade_and_rename(heroku, apps):
    assert "$15/month" in heroku("addons:upgrade", "example-store", "heroku-redis:premium-0", *APP)
    heroku("addons:wait", "example-store")
    assert "$3/month" in heroku("addons:downgrade", "example-store", "mini", *APP)
    assert "renamed to example-cache" in heroku("addons:rename", "example-store", "example-cache")
    assert "/addons/example-cache/" in heroku("addons:open", "example-cache", "--show-url", *APP)


def test_destroy(heroku, apps):
    heroku("addons:attach", "example-cache", "--as", "CACHE", *OTHER)
    refused = heroku("addons:destroy", "example-cache", "--confirm", "example-addon-app", *APP, status=1)
    assert "example-other-app" in refused
    gone = ("addons:destroy", "example-cache", "--confirm", "example-addon-app", "--force", "--wait", *APP)
    assert "Destroying example-cache" in heroku(*gone)
    assert "No add-ons for app" in heroku("addons", *APP)
    assert heroku("config:get", "REDIS_URL", *APP) == ""
