"""Promises I-01 and I-09: parallel changes lose nothing, and versions have neither gap nor twin."""

import threading

import pytest
from django.db import connections

from apps.models import App, ConfigVar
from core.errors import Refusal
from core.failpoints import Injected
from releases import actions
from releases.models import Release
from tests.factories import make_app


@pytest.mark.promise("I-01")
@pytest.mark.promise("I-09")
def test_parallel_changes_each_make_one_release(transactional_db, alice):
    app = make_app("shop", owner=alice)
    start = threading.Barrier(5)

    def change(n):
        start.wait()
        for i in range(4):
            actions.set_config(App.objects.get(pk=app.pk), {f"KEY_{n}_{i}": "x"}, by=alice)
        connections.close_all()

    threads = [threading.Thread(target=change, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = list(Release.objects.filter(app=app).order_by("version").values_list("version", flat=True))
    assert versions == list(range(1, 21))
    assert ConfigVar.objects.filter(app=app).count() == 20
    newest = Release.objects.get(app=app, version=20)
    assert newest.config == {var.key: var.value for var in ConfigVar.objects.filter(app=app)}


@pytest.mark.promise("I-01")
@pytest.mark.promise("I-09")
@pytest.mark.parametrize("point", ["config.snapshot", "release.row"])
def test_what_fails_half_way_leaves_no_trace(transactional_db, alice, monkeypatch, point):
    app = make_app("shop", owner=alice)
    monkeypatch.setenv("FAILPOINTS", f"{point}=error")
    with pytest.raises(Injected):
        actions.set_config(app, {"A": "1", "B": "2"}, by=alice)
    monkeypatch.delenv("FAILPOINTS")
    assert not ConfigVar.objects.exists() and not Release.objects.exists()
    assert actions.set_config(app, {"A": "1"}, by=alice).version == 1


@pytest.mark.promise("I-02")
@pytest.mark.parametrize("status", ["failed", "expired", "pending"])
def test_only_what_worked_can_be_rolled_back_to(db, alice, status):
    app = make_app("shop", owner=alice, released=True)
    Release.objects.filter(app=app).update(status=status)
    with pytest.raises(Refusal):
        actions.rollback(app, Release.objects.get(app=app), by=alice)
    assert Release.objects.count() == 1
