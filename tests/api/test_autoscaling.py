"""Autoscaling by the API: what is absent stays."""

import pytest

from apps.models import App, Autoscale

PATH = "/apps/shop-staging/autoscale"
ASKED = {"enabled": True, "min": 1, "max": 3, "p95": 500}


@pytest.fixture
def app(shop):
    return App.objects.get(name="shop-staging")


def web(app):
    return app.formation.get(type="web").quantity


def test_it_is_off_until_it_is_asked_for(api, app):
    assert api.get(PATH).json()["enabled"] is False
    assert api.patch(PATH, {"enabled": False}).json()["enabled"] is False
    assert not Autoscale.objects.exists()
    assert "at most" in api.patch(PATH, {"enabled": True}).json()["message"]


def test_it_is_changed_bit_by_bit(api, app):
    assert api.patch(PATH, ASKED).json().items() >= {**ASKED, "notify": False}.items()
    assert api.patch(PATH, {"max": 5}).json().items() >= {**ASKED, "max": 5}.items()
    assert api.patch(PATH, {"notify": True}).json()["notify"] is True
    off = api.patch(PATH, {"enabled": False}).json()
    assert (off["enabled"], off["max"], off["notify"]) == (False, 5, True)
    assert "is off" in api.patch(PATH, {"max": 6}).json()["message"]
    assert api.patch(PATH, {"enabled": True}).json()["max"] == 5


def test_dynos_come_within_the_bounds(api, app):
    api.patch(PATH, {**ASKED, "min": 2})
    assert web(app) == 2
    api.patch("/apps/shop-staging/formation/web", {"quantity": 4})
    assert web(app) == 4
    assert api.get(PATH).json()["enabled"] is False, "somebody has scaled by hand"


@pytest.mark.parametrize(
    "body", [{"min": "x"}, {"max": 1e9}, {"p95": -1}, {"enabled": 7}, [], {"min": 3, "max": 2}]
)
def test_nonsense_is_refused(api, app, body):
    asked = {**ASKED, **body} if isinstance(body, dict) else body
    assert api.patch(PATH, asked).status_code in (400, 422)
    assert not Autoscale.objects.exists()


def test_it_takes_the_right_to_scale(as_vera, as_charlie, app):
    assert as_vera.patch(PATH, ASKED).status_code == 403
    assert as_charlie.patch(PATH, ASKED).status_code == 404
    assert as_vera.get(PATH).status_code == 200 and as_charlie.get(PATH).status_code == 404
