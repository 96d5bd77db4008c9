"""What a card says of the stage after it, where apps of several codebases share the stages."""

import pytest

from dashboard.drift import drift_between
from tests.factories import make_app, make_pipeline, make_slug, stage


class Column:
    def __init__(self, stage):
        self.stage = stage


@pytest.fixture
def production(alice):
    return Column(stage(make_pipeline("demo", owner=alice), "production"))


def test_other_codebases_are_left_out(alice, production):
    one, other = make_app("one", owner=alice), make_app("other", owner=alice)
    mine, theirs = make_slug(one), make_slug(other)
    assert drift_between(mine, [theirs, mine], [], production, None).text == "Level with production"
    assert drift_between(mine, [], [theirs, mine], None, production).text == "Level with production"


def test_with_one_codebase_every_app_counts(alice, production):
    mine = make_slug(make_app("one", owner=alice))
    assert drift_between(mine, [mine, None], [], production, None).text == "Not everywhere in production"


def test_without_any_of_the_same_code_it_differs(alice, production):
    mine, theirs = make_slug(make_app("one", owner=alice)), make_slug(make_app("other", owner=alice))
    assert drift_between(mine, [theirs], [], production, None).text == "Differs from production"
