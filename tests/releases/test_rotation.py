"""Sealed values: bound to their rows, and moved from key to key."""

from io import StringIO

import pytest
from django.apps import apps as registry
from django.core.management import call_command

from apps.models import ConfigVar, Dyno
from apps.one_offs import run_detached
from core import secrets
from core.secrets import Tampered
from releases import actions, rotation
from releases.models import Release
from tests.factories import make_app

pytestmark = pytest.mark.promise("I-38")


@pytest.fixture
def app(alice):
    app = make_app("shop", owner=alice, released=True)
    actions.set_config(app, {"A": "first", "B": "second"}, by=alice)
    run_detached(app, "true", release_version=1, by=alice, env={"C": "third"})
    return app


def test_a_swapped_or_altered_row_fails_loudly(app):
    a, b = ConfigVar.objects.get(key="A"), ConfigVar.objects.get(key="B")
    a.sealed, b.sealed = b.sealed, a.sealed
    with pytest.raises(Tampered):
        _ = a.value
    one, two = Release.objects.order_by("version")
    one.sealed_config = two.sealed_config
    with pytest.raises(Tampered):
        _ = one.config
    b.sealed = b.sealed[:-3] + ("A" if b.sealed[-3] != "A" else "B") + b.sealed[-2:]
    with pytest.raises(Tampered):
        _ = b.value


def test_rotation_leaves_nothing_under_the_old_key(app, settings):
    settings.SLIPWAY_KEYS = [secrets.new_key("k2"), *settings.SLIPWAY_KEYS]
    assert rotation.keys_in_use() == {"test"}
    out = StringIO()
    call_command("rotatekeys", stdout=out)
    assert "with the key k2" in out.getvalue()
    assert rotation.keys_in_use() == {"k2"}
    settings.SLIPWAY_KEYS = settings.SLIPWAY_KEYS[:1]
    assert ConfigVar.objects.get(key="A").value == "first"
    assert Release.objects.get(version=2).config == {"A": "first", "B": "second"}
    assert Dyno.objects.get().env == {"C": "third"}


def test_without_its_key_a_value_does_not_open(app, settings):
    settings.SLIPWAY_KEYS = [secrets.new_key("other")]
    with pytest.raises(Tampered, match="not among SLIPWAY_KEYS"):
        _ = ConfigVar.objects.get(key="A").value


def test_every_sealed_column_is_moved_along():
    """A model with a sealed value says so, or rotation would leave it under a key that is then thrown away."""
    for model in registry.get_models():
        columns = {field.name for field in model._meta.fields if field.name.startswith("sealed")}
        assert columns == set(getattr(model, "SEALED", {})), model
