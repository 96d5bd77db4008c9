"""Setting config vars makes one release, all or nothing."""

import pytest

from apps.models import ConfigVar
from core.errors import Refusal
from releases import actions
from releases.models import Release
from tests.factories import make_app


def test_it_makes_one_release_with_a_snapshot(alice):
    app = make_app("shop", owner=alice)
    release = actions.set_config(app, {"A": "1", "B": "two\nlines"}, by=alice)
    assert release.version == 1
    assert release.config == {"A": "1", "B": "two\nlines"}
    assert release.description == "Set A, B config vars"
    assert release.changed_keys == {"A": "added", "B": "added"}
    assert actions.set_config(app, {"A": "1"}, by=alice) is None
    assert actions.set_config(app, {"A": None}, by=alice).config == {"B": "two\nlines"}


def test_values_are_sealed_to_their_row(alice):
    app = make_app("shop", owner=alice)
    actions.set_config(app, {"A": "first", "B": "second"}, by=alice)
    assert "first" not in ConfigVar.objects.get(key="A").sealed
    assert "first" not in Release.objects.get().sealed_config


@pytest.mark.parametrize(
    "changes", [{"1A": "x"}, {"__X": "x"}, {"PORT": "1"}, {"A": "x" * 33_000}, {"A": "a\0b"}]
)
def test_bad_input_changes_nothing(alice, changes):
    app = make_app("shop", owner=alice)
    with pytest.raises(Refusal):
        actions.set_config(app, {"GOOD": "1", **changes}, by=alice)
    assert not ConfigVar.objects.exists()
    assert not Release.objects.exists()


def test_rollback_restores_code_and_config(alice):
    app = make_app("shop", owner=alice, released=True)
    actions.set_config(app, {"A": "1"}, by=alice)
    release = actions.rollback(app, Release.objects.get(version=1), by=alice, note="broke the cart")
    assert (release.version, release.config, release.note) == (3, {}, "broke the cart")
    assert release.slug == Release.objects.get(version=1).slug
    assert not ConfigVar.objects.exists()
