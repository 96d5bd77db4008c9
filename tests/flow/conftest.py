import pytest

from apps.models import App
from flow import actions
from pipelines.models import Pipeline
from tests.factories import make_app, make_release, stage


@pytest.fixture
def shop(team, alice):
    """Staging runs something that production does not."""
    from tests.factories import make_pipeline

    pipeline = make_pipeline("shop", owner=team)
    make_app("shop-staging", owner=team, stage=stage(pipeline, "staging"), released=True)
    make_release(make_app("shop-production", owner=team, stage=stage(pipeline, "production")), by=alice)
    return pipeline


@pytest.fixture
def staging(shop):
    return App.objects.get(name="shop-staging")


@pytest.fixture
def production(shop):
    return App.objects.get(name="shop-production")


@pytest.fixture
def line(shop: Pipeline, alice):
    """Into production, by itself."""
    return actions.set_line(stage(shop, "production"), mode="auto", by=alice)
