"""Pushes to an app whose stage takes promotions only."""

import pytest

from pipelines import stages
from releases import repositories as repos
from releases.models import Source
from tests.factories import couple, make_app, make_pipeline, stage


@pytest.fixture
def closed(app, alice):
    """The app in a production that takes promotions only, behind a staging of which one can push to the app."""
    pipeline = make_pipeline("line", owner=alice)
    couple(make_app("shop-before", owner=alice), pipeline, "staging", by=alice)
    couple(app, pipeline, "production", by=alice)
    return stages.set_origin(stage(pipeline, "production"), "promotion", by=alice)


def test_a_push_is_turned_down_before_anything_is_received(closed, repo, app):
    status, output = repo.push()
    assert status != 0
    assert "shop takes releases by promotion only, as Production says. Push to shop-before instead" in output
    assert "Writing objects" not in output
    assert not list((repos.path(app) / "objects" / "pack").glob("*.pack"))
    assert not Source.objects.exists()


def test_no_branch_goes_round_it_and_fetching_goes_on(closed, repo, app, alice, conductor):
    assert repo.push("main:feature")[0] != 0
    stages.set_origin(closed, "own", by=alice)
    assert repo.push()[0] == 0
    stages.set_origin(closed, "promotion", by=alice)
    assert repo.git("ls-remote", repo.url).stdout.split()[0].decode() == repo.head
    repo.commit({"more.html": "x"}, "More")
    assert repo.push()[0] != 0
