"""The log page of an app: lines, filters, text."""

import pytest

from apps import logs
from engine.spec import Line
from tests.factories import make_app

LINES = [
    ("app", "web.1", b"hello <b>web</b>"),
    ("app", "worker.1", b"ERROR: no \x1b[31mhats\x1b[0m"),
    ("heroku", "router", b"at=info method=GET path=/hats"),
    ("heroku", "web.1", b"State changed from starting to up"),
]


@pytest.fixture
def app(alice, client):
    client.force_login(alice)
    app = make_app("shop", owner=alice)
    logs.store().append(app.log_stream, [Line(source, dyno, text, 1.5) for source, dyno, text in LINES])
    yield app
    logs.store().drop(app.log_stream)


def shown(page):
    """The dynos of the lines on a page, in order."""
    return [part.partition("</a>")[0].rpartition(">")[2] for part in page.split("log__src")[1:]]


def test_it_shows_lines_made_harmless_and_grows(app, client):
    page = client.get("/apps/shop/logs/").text
    assert shown(page) == ["web.1", "worker.1", "router", "web.1"]
    assert "hello &lt;b&gt;web&lt;/b&gt;" in page
    assert f'data-log="app/{app.pk}" data-after="4"' in page


@pytest.mark.parametrize(
    ("query", "dynos"),
    [
        ("dyno=web", ["web.1", "web.1"]),
        ("dyno=worker.1", ["worker.1"]),
        ("source=app", ["web.1", "worker.1"]),
        ("source=router", ["router"]),
        ("source=heroku", ["router", "web.1"]),
        ("q=hats", ["worker.1", "router"]),
        ("level=error", ["worker.1"]),
        ("source=nonsense&level=nonsense", ["web.1", "worker.1", "router", "web.1"]),
        ("q=nothing-like-it", []),
    ],
)
def test_it_narrows_down(app, client, query, dynos):
    page = client.get(f"/apps/shop/logs/?{query}").text
    assert shown(page) == dynos
    part = client.get(f"/apps/shop/logs/?{query}", headers={"HX-Request": "true"}).text
    assert shown(part) == dynos and "<html" not in part


def test_it_comes_as_text(app, client):
    answer = client.get("/apps/shop/logs/text/?source=app")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="shop.log"'
    lines = answer.text.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("app[web.1]: hello <b>web</b>")


def test_an_app_without_a_log_has_an_empty_page(alice, client):
    make_app("quiet", owner=alice)
    client.force_login(alice)
    assert shown(client.get("/apps/quiet/logs/").text) == []
