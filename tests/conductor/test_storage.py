"""Storage as dynos see it: the same files in every kind of dyno and through releases, for the apps that have it."""

import pytest

from addons import actions as addon_actions
from addons import attachments, catalog
from addons.models import Addon
from apps import actions, one_offs
from apps.models import Dyno
from conductor import cleaning
from releases.models import OPEN, Release
from tests.conductor.conftest import SERVER
from tests.conftest import eventually
from tests.factories import make_app

NOTES = 'test -z "$STORAGE_DIR" || echo {} >> $STORAGE_DIR/log'


@pytest.fixture
def app(platform, alice):
    """An app with a storage, whose release phase and web dyno write to it."""
    app = make_app("shop", owner=alice)
    addon_actions.provision(app, catalog.plan_called("storage"), by=alice)
    eventually(lambda: app.config_vars.filter(key="STORAGE_DIR").exists())
    platform.deployed(app, alice, web=f"{NOTES.format('web')}; {SERVER}", release=NOTES.format("phase"))
    return app


def status_of(app, command, by):
    """The exit status of a command in a one-off dyno of the newest release, once that has ended."""
    eventually(lambda: not Release.objects.filter(app=app, status__in=OPEN).exists())
    version = Release.objects.current_for(app).version
    dyno = one_offs.run_detached(app, command, release_version=version, by=by)
    eventually(lambda: Dyno.objects.get(pk=dyno.pk).state == "down")
    dyno.refresh_from_db()
    assert dyno.exit_code is not None, dyno.reason
    return dyno.exit_code


def test_every_dyno_finds_what_others_wrote_until_the_add_on_goes(platform, app, alice):
    place = platform.data / "volumes" / str(Addon.objects.get().pk)
    assert status_of(app, "echo one-off >> $STORAGE_DIR/log", alice) == 0
    assert (place / "log").read_text() == "phase\nweb\none-off\n"
    actions.restart(app, by=alice)
    eventually(lambda: (place / "log").read_text() == "phase\nweb\none-off\nweb\n")

    addon = Addon.objects.get()
    addon_actions.destroy(addon, confirm=addon.name, by=alice)
    eventually(lambda: not Addon.objects.exists() and not place.exists())
    assert status_of(app, f"test -e {place}", alice) == 1
    (kept,) = (platform.data / "volumes" / "removed").iterdir()
    assert (kept / "log").read_text().startswith("phase\nweb\none-off\nweb\n")
    cleaning.clean(platform.conductor.parts)
    assert kept.exists()


def test_an_app_that_it_is_attached_to_writes_to_the_same_files_and_another_to_none(platform, app, alice):
    addon = Addon.objects.get()
    log = platform.data / "volumes" / str(addon.pk) / "log"
    other = make_app("other", owner=alice)
    platform.deployed(other, alice)
    assert status_of(other, f"test -e {log}", alice) == 1
    attachments.attach(addon, other, as_="uploads", by=alice)
    assert status_of(other, "echo other >> $UPLOADS_DIR/log", alice) == 0
    assert log.read_text() == "phase\nweb\nother\n"
    assert status_of(app, "sed -i s/other/changed/ $STORAGE_DIR/log", alice) == 0
    assert status_of(other, "grep changed $UPLOADS_DIR/log", alice) == 0
