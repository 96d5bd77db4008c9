"""A team's pipeline with a mail server, and a chat on loopback that may be reached."""

import pytest
from django.conf import settings as current

from conductor.notices import Notices
from notices import actions, events
from tests.conftest import eventually
from tests.receivers import Receiver


@pytest.fixture(autouse=True)
def quick(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    settings.WEBHOOK_SECONDS, settings.WEBHOOK_RETRY_SECONDS = 0.5, 0.05
    settings.MAIL = True


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def herald(db):
    """Sends, as the conductor does: looks again and again."""
    running = []

    def start():
        found = Notices()
        found.start()
        running.append(found)
        return found

    yield start
    for one in running:
        one.stop()


def channel(pipeline, by, url, kind="slack", name="#releases", told=events.USUAL):
    return actions.add_channel(pipeline, name=name, kind=kind, address=url, events=told, by=by)


def until(check, herald, seconds=10):
    def look():
        herald.look()
        return check()

    return eventually(look, seconds)


def url_of(path):
    return current.URL + path
