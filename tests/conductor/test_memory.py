"""Memory of dynos, as the driver saw it, kept for the page of metrics."""

from types import SimpleNamespace

import pytest

from apps.models import Dyno, DynoEvent, Formation, MemoryUse
from conductor import memory
from conductor.duty import OnDuty
from engine.spec import SIZES, DynoState
from tests.factories import make_app


@pytest.fixture
def app(db, alice):
    app = make_app("shop", owner=alice)
    Formation.objects.create(app=app, type="web", quantity=2)
    Formation.objects.create(app=app, type="release", quantity=0)
    return app


def parts(*states):
    """Of a conductor whose driver has seen these dynos, all of the first app."""
    app, *found = states
    driver = SimpleNamespace(apps=lambda: {str(app.pk)}, observe=lambda _: found)
    return SimpleNamespace(driver=driver)


def test_only_dynos_of_the_formation_that_are_up_count(app):
    memory.look(
        parts(
            app,
            DynoState("1", "web.1", "up", memory=100),
            DynoState("2", "web.2", "up", memory=300),
            DynoState("3", "web.3", "crashed", memory=900),
            DynoState("4", "web.4", "up"),  # nobody has looked at it
            DynoState("5", "run.7", "up", memory=900),
            DynoState("6", "release.2", "up", memory=900),
        )
    )
    row = MemoryUse.objects.get()
    assert (row.type, row.highest, row.total, row.looks) == ("web", 300, 400, 2)


def test_who_is_above_its_size_is_warned_of(app):
    row = Dyno.objects.create(app=app, type="web", number=1, command="x", release_version=1, state="up")
    used = SIZES["standard-1x"].memory
    memory.look(parts(app, DynoState(row.incarnation, "web.1", "up", memory=used)))
    assert not DynoEvent.objects.exists()
    memory.look(parts(app, DynoState(row.incarnation, "web.1", "up", memory=used + 1)))
    event = DynoEvent.objects.get()
    assert (event.dyno, event.state, event.reason) == ("web.1", "up", "Error R14 (Memory quota exceeded)")


def test_without_dynos_nothing_is_asked(app, django_assert_num_queries):
    with django_assert_num_queries(0):
        memory.look(parts(app))


def test_who_does_not_lead_any_more_leaves_it(app):
    memory.look(SimpleNamespace(driver=OnDuty(lambda: None)))
    assert not MemoryUse.objects.exists()
