"""The log archive as an add-on: what is kept while an app has it, and what goes with it."""

import pytest

from addons import archives
from addons.models import Addon, Plan
from apps import logs
from conductor import addons as job
from conductor.work import Held, Kind, run
from engine.spec import Line
from tests.factories import make_app

MB = 1024**2
KIND = Kind("addon", Addon, 1, job.advance, job.fail)


def work():
    while addon := Addon.objects.all().claim():
        run(Held(KIND, addon))


@pytest.fixture
def store(settings):
    """The process's log store, with room for little."""
    settings.LOG_BYTES = 64 * 1024
    logs.store.cache_clear()
    yield logs.store()
    logs.store().close()
    logs.store.cache_clear()


@pytest.fixture
def app(store, alice, client):
    client.force_login(alice)
    return make_app("shop", owner=alice)


def order(client, plan="choklad"):
    answer = client.post("/apps/shop/catalog/papertrail/orders/", {"plan": plan, "as": ""})
    assert answer.status_code == 303
    work()
    return Addon.objects.get()


def write(store, app, lines=2000):
    for _ in range(lines // 20):
        store.append(app.log_stream, [Line("app", "web.1", b"x" * 60, 1.5)] * 20)


def test_the_log_is_kept_for_longer_while_an_app_has_it(app, store, client):
    write(store, app)
    addon, first = order(client), store.first(app.log_stream)
    assert (addon.state, addon.message) == ("provisioned", "The log is kept for 7 days, up to 256 MB.")
    assert first > 1
    write(store, app)
    assert store.first(app.log_stream) == first
    client.post(f"/apps/shop/addons/{addon.name}/removal/", {"confirm": addon.name})
    work()
    assert not Addon.objects.exists()
    assert store.held(app.log_stream).size <= 64 * 1024


def test_another_plan_keeps_more_and_less(app, store, client):
    addon = order(client)
    small = Plan.objects.create(service=addon.service, name="tiny", limits={"days": 1, "log_mb": 1})
    write(store, app, 20_000)
    assert store.first(app.log_stream) == 1
    for plan, message in (
        ("forsta", "for 365 days, up to 8,192 MB."),
        (small.name, "for 1 day, up to 1 MB."),
    ):
        client.post(f"/apps/shop/addons/{addon.name}/plan/", {"plan": plan})
        work()
        addon.refresh_from_db()
        assert addon.message == f"The log is kept {message}"
    assert store.first(app.log_stream) > 1 and store.held(app.log_stream).size <= MB


def test_what_the_store_was_told_is_told_again(app, store, client):
    addon = order(client)
    write(store, app, 20)
    (store.root / app.log_stream / "keep.json").unlink()
    archives.tell_all()
    write(store, app)
    assert store.first(app.log_stream) == 1
    Plan.objects.filter(pk=addon.plan_id).update(limits={"days": 0, "log_mb": 1})
    archives.tell_all()
    assert store.first(app.log_stream) > 1


def test_an_app_has_one_archive(app, client):
    order(client)
    again = client.post("/apps/shop/catalog/papertrail/orders/", {"plan": "fixa", "as": ""})
    assert again.status_code == 422 and "shop has one already" in again.text
    assert Addon.objects.count() == 1
