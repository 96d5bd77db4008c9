"""The log page of an app: lines, filters, text."""

import html
import time

import pytest

from apps import logs
from dashboard import log_page
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
        ("source=platform", ["web.1"]),
        ("source=router&source=platform", ["router", "web.1"]),
        ("source=app&source=router&source=platform", ["web.1", "worker.1", "router", "web.1"]),
        ("q=hats", ["worker.1", "router"]),
        ("q=HATS no", ["worker.1"]),
        ("q=hats -path", ["worker.1"]),
        ('q="no hats"', []),
        ('q="starting to up"', ["web.1"]),
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


def test_a_link_to_a_line_opens_around_it_and_marks_it(app, client):
    store, stream = logs.store(), app.log_stream
    store.append(stream, [Line("app", "web.1", b"line %d" % n, 2.0) for n in range(5, 1001)])
    page = client.get("/apps/shop/logs/?line=400").text
    assert 'class="log__line is-target" id="L400"' in page
    assert 'id="L320"' in page and 'id="L319"' not in page and 'id="L500"' in page
    assert "data-ended" in page and "Around line 400" in page  # it stands still
    assert 'href="?before=320" rel="prev">Older lines' in page and "Newer lines" in page
    older = client.get("/apps/shop/logs/?before=320").text
    assert 'id="L319"' in older and 'id="L320"' not in older and "Latest lines" in older
    assert 'href="?line=400#L400"' in page


@pytest.mark.parametrize("line", ["0", "99999999", "-1", "x", "9" * 40])
def test_a_line_that_is_not_there(app, client, line):
    assert client.get(f"/apps/shop/logs/?line={line}").status_code == 200
    assert client.get(f"/apps/shop/logs/?before={line}").status_code == 200


def test_older_lines_keep_the_filter(app, client):
    store = logs.store()
    store.append(app.log_stream, [Line("app", "web.2", b"old hat %d" % n, 2.0) for n in range(300)])
    page = client.get("/apps/shop/logs/?q=hat&dyno=web.2").text
    assert len(shown(page)) == 250
    assert 'href="?q=hat&amp;dyno=web.2&amp;before=55" rel="prev">Older lines' in page


def address(page):
    """Where “Search on” leads."""
    return html.unescape(page.partition('href="?q=')[2].partition('"')[0])


def test_a_search_that_takes_too_long_stops_and_says_so(app, client, monkeypatch):
    monkeypatch.setattr(log_page, "PAGE_SECONDS", 1e-9)
    logs.store().append(app.log_stream, [Line("app", "web.1", b"x" * 1000, 2.0) for _ in range(200)])
    page = client.get("/apps/shop/logs/?q=hello").text
    assert shown(page) == []
    assert "older lines not searched yet" in page and "Search on" in page
    for _ in range(5):
        page = client.get(f"/apps/shop/logs/?q={address(page)}").text
        if shown(page):
            break
    assert shown(page) == ["web.1"]


def test_a_page_of_long_lines_is_no_heavier(app, client):
    logs.store().append(app.log_stream, [Line("app", "web.1", b"<" * 9000, 2.0) for _ in range(300)])
    assert len(client.get("/apps/shop/logs/").content) < 400_000  # each < takes four bytes as HTML
    assert len(client.get("/apps/shop/logs/?line=200").content) < 400_000


def test_the_last_half_hour_as_bars(app, client):
    now = time.time()
    texts = [b"fine", b"WARNING: slow", b"ERROR: gone", b"status=404"]
    logs.store().append(app.log_stream, [Line("app", "web.1", text, now - 60) for text in texts])
    logs.store().append(app.log_stream, [Line("app", "web.1", b"fine", now - 3)])
    part = client.get("/apps/shop/logs/histogram/").text
    assert "5 lines, 1 error in 30 minutes" in part
    assert part.count('class="bar bar--warn"') == 1 and part.count('class="bar bar--bad"') == 1
    assert "?line=5#L5" in part and "?line=9#L9" in part
    assert "style=" not in part and "<html" not in part
    assert 'id="histogram"' in client.get("/apps/shop/logs/").text


def test_a_download_says_when_it_is_not_all(app, client, monkeypatch):
    monkeypatch.setattr(log_page, "SAVED", 2)
    assert client.get("/apps/shop/logs/text/").text.startswith("# 2 older lines are not in this file\n")


def test_an_app_without_a_log_has_an_empty_page(alice, client):
    make_app("quiet", owner=alice)
    client.force_login(alice)
    assert shown(client.get("/apps/quiet/logs/").text) == []
