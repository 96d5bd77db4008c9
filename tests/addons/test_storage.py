"""Storage: folders that outlive dynos, for the apps that they are attached to and for no other."""

import json
import os
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest
from pytest_django.asserts import assertContains, assertNotContains

from addons import actions, attachments, catalog, volumes
from addons.models import Addon
from addons.providers import Order, provider_for
from addons.providers.storage import volumes as folders
from apps.models import ConfigVar
from conductor import addons as job
from conductor.audit_addons import held
from conductor.figures import registry
from conductor.work import Held, Kind, run
from core.errors import EngineError
from engine.volumes import Volumes
from releases.models import Release
from tests.factories import make_app

MB = 1024 * 1024


@pytest.fixture
def data(settings):
    """A data folder, not below /tmp: that is a dyno's own anyway."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="slipway-test-") as folder:
        Path(folder).chmod(0o755)
        settings.DATA = Path(folder)
        yield Path(folder)


def work():
    """Do what the conductor would, until nothing is due."""
    while addon := Addon.objects.all().claim():
        run(Held(Kind("addon", Addon, 1, job.advance, job.fail), addon))


def ordered(app, by, plan="storage", **extra):
    addon = actions.provision(app, catalog.plan_called(plan), by=by, **extra)
    work()
    addon.refresh_from_db()
    return addon


def fill(addon, megabytes, name="file"):
    folders().path(str(addon.pk)).joinpath(name).write_bytes(os.urandom(1) * int(megabytes * MB))


def config_of(app):
    return {row.key: row.value for row in ConfigVar.objects.filter(app=app)}


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_second_try_finds_the_same_folder_with_all_that_is_in_it(tmp_path):
    every, id = Volumes(tmp_path / "volumes"), str(uuid.uuid4())
    place = every.make(id)
    (place / "file").write_text("kept")
    assert every.make(id) == place
    assert (place / "file").read_text() == "kept"
    assert every.ids() == {id}
    assert (every.root.stat().st_mode & 0o777, place.stat().st_mode & 0o777) == (0o700, 0o777)
    with pytest.raises(ValueError):
        every.path("../etc")


def test_what_one_app_makes_another_may_change(tmp_path):
    place = Volumes(tmp_path / "volumes").make(str(uuid.uuid4()))
    before = os.umask(0o022)
    try:
        (place / "inner").mkdir()
        (place / "inner" / "file").touch()
    finally:
        os.umask(before)
    if "system.posix_acl_default" not in os.listxattr(place):
        pytest.skip("absent: a file system with access control lists")
    assert [path.stat().st_mode & 0o777 for path in (place / "inner", place / "inner" / "file")] == [
        0o777,
        0o666,
    ]


def test_measuring_follows_no_link_and_ends(tmp_path):
    every, id = Volumes(tmp_path / "volumes"), str(uuid.uuid4())
    place, outside = every.make(id), tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 5 * MB)
    empty = every.measure(id)
    assert (empty.files, empty.whole) == (0, True)
    (place / "root").symlink_to("/")
    (place / "away").symlink_to(outside)
    (place / "file").write_bytes(b"x" * MB)
    os.link(place / "file", place / "again")
    with (place / "sparse").open("wb") as file:
        file.truncate(500 * MB)
    use = every.measure(id)
    assert (use.files, use.whole) == (4, True)
    assert MB <= use.bytes - empty.bytes < 2 * MB
    deep = place
    for _ in range(120):
        deep = deep / "d"
        deep.mkdir()
    assert not every.measure(id).whole
    assert not every.measure(id, entries=2).whole
    assert not every.measure(id, seconds=-1).whole
    assert every.measure(str(uuid.uuid4())).bytes == 0


def test_what_is_given_up_is_kept_aside_for_a_while_and_no_link_is_followed_when_it_goes(tmp_path):
    every, id = Volumes(tmp_path / "volumes"), str(uuid.uuid4())
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("stays")
    place = every.make(id)
    (place / "away").symlink_to(outside)
    (place / "closed").mkdir()
    (place / "closed" / "file").write_text("kept")
    (place / "closed").chmod(0o500)
    every.put_aside(id)
    every.put_aside(id)
    assert every.ids() == set()
    (kept,) = every.aside()
    assert (kept / "closed" / "file").read_text() == "kept"
    every.clear(older_than=3600)
    assert every.aside() == [kept]
    every.clear(older_than=0)
    assert every.aside() == []
    assert (outside / "precious").read_text() == "stays"
    every.make(id)
    every.put_aside(id)  # an empty one is not worth keeping
    assert (every.ids(), every.aside()) == (set(), [])


# --- add-ons ----------------------------------------------------------------------------------------------------------


def test_an_app_gets_a_folder_and_gives_it_up(alice, data):
    app = make_app("shop", owner=alice, released=True)
    addon = ordered(app, alice)
    place = data / "volumes" / str(addon.pk)
    assert config_of(app) == {"STORAGE_DIR": str(place)}
    assert place.is_dir() and list(held()) == []
    assert volumes.Attached(app).of(config_of(app)) == (str(place),)
    fill(addon, 0.1)
    actions.destroy(addon, confirm=addon.name, by=alice)
    assert volumes.Attached(app).of({"STORAGE_DIR": str(place)}) == ()
    work()
    assert not Addon.objects.exists() and config_of(app) == {}
    assert not place.exists()
    volumes.clear()
    assert [path.name.partition(".")[0] for path in folders().aside()] == [str(addon.pk)]


def test_apps_that_it_is_attached_to_find_it_and_no_other_does(alice, data, django_assert_num_queries):
    shop, other, third = (make_app(name, owner=alice, released=True) for name in ("shop", "other", "third"))
    addon = ordered(shop, alice, as_="uploads")
    mine = config_of(shop)
    assert list(mine) == ["UPLOADS_DIR"]
    attachment = attachments.attach(addon, other, by=alice)
    assert config_of(other) == {"STORAGE_DIR": mine["UPLOADS_DIR"]}
    assert volumes.Attached(other).of(config_of(other)) == volumes.Attached(shop).of(mine)
    assert volumes.Attached(third).of(mine) == ()  # a config var alone opens nothing
    with django_assert_num_queries(0):
        assert volumes.Attached(other).of({"ELSE": "1"}) == ()
    with django_assert_num_queries(1):  # for all dynos of an app
        seen = volumes.Attached(shop)
        assert [seen.of(mine), seen.of(mine), seen.of({})] == [tuple(mine.values())] * 2 + [()]
    attachments.detach(attachment, by=alice)
    assert volumes.Attached(other).of(mine) == ()
    assert Release.objects.filter(app=other).first().description.startswith("Detach STORAGE")


def test_another_plan_keeps_the_files_and_one_that_is_too_small_is_turned_down(alice, client, data):
    app = make_app("shop", owner=alice, released=True)
    addon = ordered(app, alice, "storage:small")
    fill(addon, 3)
    versions = Release.objects.filter(app=app).count()
    client.force_login(alice)
    assertContains(client.get(f"/apps/shop/addons/{addon.name}/plan/"), "has no room for them is turned down")
    actions.change_plan(addon, catalog.plan_called("storage:large"), by=alice)
    work()
    addon.refresh_from_db()
    assert (addon.plan.name, addon.state) == ("large", "provisioned")
    tiny = catalog.plan_called("storage:small")
    tiny.limits = {"storage_mb": 2}
    tiny.save()
    actions.change_plan(addon, tiny, by=alice)
    work()
    addon.refresh_from_db()
    assert (addon.plan.name, addon.state) == ("large", "provisioned")
    assert addon.message == (
        f"{addon.name} holds 3 MB, and small has room for 2 MB: delete files first, or choose a larger plan."
    )
    assert (data / "volumes" / str(addon.pk) / "file").stat().st_size == 3 * MB
    assert Release.objects.filter(app=app).count() == versions


def test_its_page_says_where_it_is_and_how_full(alice, client, data, django_assert_max_num_queries):
    app = make_app("shop", owner=alice, released=True)
    addon = ordered(app, alice)
    client.force_login(alice)
    address = f"/apps/shop/addons/{addon.name}/"
    page = client.get(address)
    assertContains(page, str(data / "volumes" / str(addon.pk)))
    assertContains(page, "Measured within a few minutes")
    fill(addon, 1)
    volumes.measure()
    with django_assert_max_num_queries(12):
        page = client.get(address)
    assertContains(page, "1.0 MB of 1.0 GB")
    assert registry().get_sample_value("slipway_storage_bytes", {"addon": addon.name}) >= MB
    assertContains(page, "1 file")
    assertNotContains(page, "callout--warn")
    measured = data / "run" / "volumes.json"
    told = json.loads(measured.read_text())
    told["volumes"][str(addon.pk)] |= {"bytes": 900 * MB, "whole": False}
    measured.write_text(json.dumps(told))
    assertContains(client.get(address), "at least 900.0 MB of 1.0 GB")
    assertContains(client.get(address), "callout--warn")
    told["volumes"][str(addon.pk)] |= {"bytes": 2000 * MB}
    measured.write_text(json.dumps(told))
    assertContains(client.get(address), "more than its plan has room for")
    assertContains(client.get(f"{address}removal/"), "its files are kept aside for 7 days")


def test_the_auditor_finds_a_folder_that_nobody_ordered_and_one_that_is_gone(alice, data):
    addon = ordered(make_app("shop", owner=alice, released=True), alice)
    lost = str(uuid.uuid4())
    folders().make(lost)
    shutil.rmtree(folders().path(str(addon.pk)))
    assert {each.object for each in held()} == {f"storage {lost}", f"add-on {addon}"}
    volumes.settle()
    assert {each.object for each in held()} == {f"storage {lost}"}


def test_a_slipway_that_was_moved_tells_the_apps_where_their_files_are(alice, data, settings, tmp_path):
    app = make_app("shop", owner=alice, released=True)
    addon = ordered(app, alice)
    fill(addon, 0.1)
    settings.DATA = tmp_path / "moved"
    shutil.copytree(data, settings.DATA)
    volumes.settle()
    assert config_of(app) == {"STORAGE_DIR": str(tmp_path / "moved" / "volumes" / str(addon.pk))}
    versions = Release.objects.filter(app=app).count()
    volumes.settle()
    assert Release.objects.filter(app=app).count() == versions


def test_a_folder_that_cannot_be_made_fails_the_order_and_it_can_be_tried_again(data):
    (data / "volumes").write_text("in the way")
    wanted = Order(id=str(uuid.uuid4()), name="storage-curly-12345", service="storage", plan="small")
    with pytest.raises(EngineError, match="can't be made"):
        provider_for("storage").provision(wanted)
    (data / "volumes").unlink()
    assert Path(provider_for("storage").provision(wanted).config["DIR"]).is_dir()
