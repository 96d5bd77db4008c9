"""Whom a promotion is for when apps of several codebases share the stages."""

import pytest

from pipelines.models import Coupling
from tests.factories import couple, make_app, make_pipeline, make_release, make_slug


@pytest.fixture
def demo(alice):
    """Two codebases, each with an app in staging; production's apps run nothing yet."""
    pipeline = make_pipeline("demo", owner=alice)
    for name, stage in [
        ("a", "staging"),
        ("b", "staging"),
        ("a-live", "production"),
        ("b-live", "production"),
    ]:
        couple(make_app(f"demo-{name}", owner=alice, released=stage == "staging"), pipeline, stage, by=alice)
    return pipeline


def names(app: str) -> list[str]:
    return [row.app.name for row in Coupling.objects.get(app__name=app).likely_targets()]


def promote(source: str, target: str) -> None:
    slug = Coupling.objects.get(app__name=source).app.releases.get(current=True).slug
    make_release(Coupling.objects.get(app__name=target).app, slug=slug, kind="promote")


def test_at_first_all_that_run_nothing(demo):
    assert names("demo-a") == ["demo-a-live", "demo-b-live"]


def test_then_those_of_the_same_code(demo):
    promote("demo-a", "demo-a-live")
    assert names("demo-a") == ["demo-a-live"]
    assert names("demo-b") == ["demo-b-live"]
    app = Coupling.objects.get(app__name="demo-a").app
    make_release(app, slug=make_slug(app))
    assert names("demo-a") == ["demo-a-live"]


def test_all_when_none_is_nearer(demo):
    for target in ("demo-a-live", "demo-b-live"):
        promote("demo-b", target)
    assert names("demo-a") == ["demo-a-live", "demo-b-live"]


def test_nothing_after_production(demo):
    assert names("demo-a-live") == []
