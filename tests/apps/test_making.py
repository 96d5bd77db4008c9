"""Making apps."""

from functools import partial

import pytest

from apps.actions import create_app
from apps.models import App
from core.errors import Refusal
from tests.races import at_once


@pytest.mark.django_db(transaction=True)
def test_apps_made_at_the_same_moment_do_not_take_each_others_slot(alice):
    made = at_once(*(partial(create_app, f"shop-{n}", owner=alice, by=alice) for n in range(6)))
    assert [type(app) for app in made] == [App] * 6
    assert len({app.slot for app in made}) == 6


@pytest.mark.django_db(transaction=True)
def test_of_two_who_want_one_name_one_gets_it(alice):
    made = at_once(*(partial(create_app, "shop", owner=alice, by=alice) for _ in range(2)))
    assert sorted(type(answer).__name__ for answer in made) == ["App", "Refusal"]
    (refused,) = (answer for answer in made if isinstance(answer, Refusal))
    assert "taken" in refused.message
