"""One-off dynos: asked for here, started by the conductor."""

import pytest

from apps import one_offs
from apps.models import Dyno
from core.errors import Refusal
from core.models import Event
from tests.factories import make_app


def test_it_makes_a_dyno_for_the_conductor_to_start(alice):
    app = make_app("shop", owner=alice, released=True)
    dyno = one_offs.run_detached(
        app, "rake db:seed", release_version=1, by=alice, env={"SEED": "x"}, time_to_live=60
    )
    assert (dyno.type, dyno.state, dyno.one_off, dyno.command) == ("run", "starting", True, "rake db:seed")
    assert 1000 <= dyno.number < 10000
    assert Dyno.objects.get().env == {"SEED": "x"}
    assert Event.objects.filter(verb="ran", label=dyno.name, app_id=app.pk).exists()


@pytest.mark.parametrize(
    "wrong",
    [{"command": " "}, {"command": "a\0b"}, {"size": "huge"}, {"time_to_live": 0}, {"type": "a b"}],
)
def test_bad_input_starts_nothing(alice, wrong):
    app = make_app("shop", owner=alice, released=True)
    with pytest.raises(Refusal):
        one_offs.run_detached(app, **{"command": "true", "release_version": 1, "by": alice, **wrong})
    assert not Dyno.objects.exists()
