"""Where an app answers, and where git pushes to: told alike by pages, API, pushes and the console."""

import pytest

from apps.models import App


@pytest.mark.parametrize(
    ("url", "host", "web", "git"),
    [
        (
            "http://localhost:8000",
            "localhost",
            "http://shop.localhost:8000/",
            "http://localhost:8000/shop.git",
        ),
        (
            "https://slipway.example",
            "apps.example",
            "https://shop.apps.example/",
            "https://slipway.example/shop.git",
        ),
        ("http://[::1]:8000", "localhost", "http://shop.localhost:8000/", "http://[::1]:8000/shop.git"),
    ],
)
def test_addresses_follow_the_dashboards(settings, url, host, web, git):
    settings.URL, settings.APPS_HOST = url, host
    app = App(name="shop")
    assert (app.web_url, app.git_url) == (web, git)
