"""The cast: Alice owns, Bob is a member of her team, Vera only views, Charlie is a stranger."""

import gc
import os

import pytest
from django.core.cache import cache
from django.db import connection

from accounts import actions as account_actions
from addons.providers import provider_for, register
from tests import clearing as clearing  # quicker than Django's flush
from tests import strict as strict  # text that PostgreSQL would not take is an error on SQLite too
from tests.docker import engine as engine  # for tests with the mark docker
from tests.factories import make_app, make_pipeline, make_user, stage
from tests.forge import Forge
from tests.shelf import Shelf
from tests.waiting import eventually as eventually  # where most tests look for it


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """What takes longest comes first: begun last, it would keep one worker busy while the others are done. bin/check has
    xdist keep this order."""
    items.sort(key=lambda item: not takes_long(item))


def pytest_collection_finish(session):
    """All that was imported stays: who looks for garbage need not walk through it again and again. It was a tenth of the
    processor time of the tests of pages."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def takes_long(item):
    """Whether a test starts a platform, the CLI or containers."""
    marks = {mark.name for mark in item.iter_markers()}
    return bool(marks & {"platform", "docker"}) or item.path.parent.name == "cli"


if "TEST_DATABASE_URL" in os.environ:

    @pytest.fixture(scope="session", autouse=True)
    def no_session_holds_the_database(django_db_setup, django_db_blocker):
        """A server drops no database that a thread of some test is still connected to."""
        yield
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture(autouse=True)
def no_tries_yet():
    """Nobody has guessed anything, and no session was seen."""
    cache.clear()


@pytest.fixture
def alice(db):
    return make_user("alice@example.com", name="Alice Liddell")


@pytest.fixture
def bob(db):
    return make_user("bob@example.com", name="Bob Sawyer")


@pytest.fixture
def vera(db):
    return make_user("vera@example.com", name="Vera Claythorne")


@pytest.fixture
def charlie(db):
    return make_user("charlie@example.com", name="Charlie Bucket")


@pytest.fixture
def team(alice, bob, vera):
    """Alice is its admin, Bob a member, Vera a viewer."""
    team = account_actions.create_team("acme", by=alice)
    account_actions.set_role(team, bob, "member", by=alice)
    account_actions.set_role(team, vera, "viewer", by=alice)
    return team


@pytest.fixture
def shop(team, alice):
    """A pipeline of the team: shop-staging and shop-production, both released."""
    pipeline = make_pipeline("shop", owner=team)
    make_app("shop-staging", owner=team, stage=stage(pipeline, "staging"), released=True)
    make_app("shop-production", owner=team, stage=stage(pipeline, "production"), released=True)
    return pipeline


@pytest.fixture
def shelf(tmp_path, settings):
    """Provides databases: each is a file in a folder, and nothing that backups could be made of."""
    settings.KEEP_LAST_BACKUP_DAYS = 0
    (tmp_path / "shelf").mkdir()
    shelf, before = Shelf(tmp_path / "shelf"), provider_for("heroku-postgresql")
    register("heroku-postgresql", shelf)
    yield shelf
    register("heroku-postgresql", before)


@pytest.fixture
def forge(tmp_path, settings):
    """A public git server on loopback, which requests that users cause may reach."""
    settings.OUTBOUND_ALLOW = ["127.0.0.1", "localhost"]
    (tmp_path / "forge").mkdir()
    forge = Forge(tmp_path / "forge")
    yield forge
    forge.stop()
