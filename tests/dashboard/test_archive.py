"""The archive of an app's log: what a search finds, what is saved, and what hostile lines can't do."""

from datetime import UTC, datetime

import pytest
from django.utils.html import escape
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from addons.models import Plan, SavedSearch
from apps import logs
from core.models import Event
from dashboard import archive_page
from engine.spec import Line
from tests.factories import make_addon, make_app

HERE = "/apps/shop/log-archive/"
START = datetime(2024, 11, 20, 12, 0, tzinfo=UTC).timestamp()
LINES = [
    ("app", "web.1", b"checkout of basket 17"),
    ("app", "worker.1", b"ERROR: no \x1b[31mhats\x1b[0m & no basket"),
    ("heroku", "router", b"at=info method=GET path=/basket"),
    ("heroku", "web.1", b"State changed from starting to up"),
]


@pytest.fixture
def app(alice, client):
    client.force_login(alice)
    app = make_app("shop", owner=alice)
    make_addon(app, "papertrail:choklad", name="logs-1", as_="PAPERTRAIL")
    write(app, LINES)
    yield app
    logs.store().drop(app.log_stream)


def write(app, lines, every=3600.0):
    """`lines`, one each hour from `START` on."""
    for i, (source, dyno, text) in enumerate(lines):
        logs.store().append(app.log_stream, [Line(source, dyno, text, START + i * every)])


def shown(page):
    """The numbers of the lines on a page, in order."""
    return [int(part.partition("#")[0]) for part in page.text.split("?line=")[1:]]


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("", [4, 3, 2, 1]),
        ("q=BASKET", [3, 2, 1]),
        ("q=basket -checkout", [3, 2]),
        ('q="no basket"', [2]),
        ("q=basket&source=app", [2, 1]),
        ("source=router&source=platform", [4, 3]),
        ("dyno=web", [4, 1]),
        ("level=error", [2]),
        ("from=2024-11-20T13:00&to=2024-11-20T14:00", [3, 2]),
        ("from=2024-11-20 14:30", [4]),
        ("to=2024-11-20T12:00", [1]),
        ("to=2024-11-20", [4, 3, 2, 1]),
        ("to=2024-11-19", []),
        ("within=3600", []),
        ("within=nonsense&source=nonsense", [4, 3, 2, 1]),
        ("before=3", [2, 1]),
        ("q=nothing-like-it", []),
    ],
)
def test_it_finds_the_newest_first(app, client, query, lines):
    assert shown(client.get(f"{HERE}?{query}")) == lines


def test_a_line_opens_in_context(app, client):
    assertContains(client.get(f"{HERE}?q=hats"), 'href="/apps/shop/logs/?line=2#L2"')
    page = client.get("/apps/shop/logs/?line=2")
    assertContains(page, "checkout of basket")
    assertContains(page, HERE)


def test_words_are_marked_and_hostile_lines_are_only_shown(app, client):
    page = client.get(f"{HERE}?q=basket")
    assertContains(page, 'ERROR: no <span class="a-red">hats</span> &amp; no <mark>basket</mark>')
    hostile = "<script>alert(1)</script> &amp; amp \x1b]0;x\x07 <mark> https://x.example/?a=<b>&amp"
    write(app, [("app", "<img>", hostile.encode())])
    for query in ("amp", "<script>", "mark", "span", "href", "&", '"'):
        page = client.get(HERE, {"q": query})
        assertNotContains(page, "<script>alert")
        assertNotContains(page, "<img>")
        assert page.text.count("<mark>") == page.text.count("</mark>")
    page = client.get(HERE, {"q": "&amp; amp"})
    assertContains(page, "&lt;script&gt;alert(1)&lt;/script&gt; <mark>&amp;amp;</mark> <mark>amp</mark>")
    assertContains(client.get(HERE, {"q": '<b> "'}), escape('<b> "'))


def test_there_are_pages(app, client):
    write(app, [("app", "web.1", b"order %d" % i) for i in range(250)], every=1)
    page = client.get(f"{HERE}?q=order")
    assert shown(page) == list(range(254, 154, -1))
    page = client.get(f"{HERE}?q=order&before=155")
    assert shown(page) == list(range(154, 54, -1))
    assertContains(page, 'href="?q=order&amp;before=55"')
    assertContains(page, "Newest lines")
    page = client.get(f"{HERE}?q=order&before=55")
    assert shown(page) == list(range(54, 4, -1))
    page = client.get(f"{HERE}?q=order&before=5")
    assertContains(page, "Every line that the archive still has was looked at")


def test_a_page_is_small_whatever_the_lines(app, client):
    write(app, [("app", "web.1", b'"<&e' * 2400)] * 50, every=1)
    page = client.get(f"{HERE}?q=e")
    assert 1 <= len(shown(page)) < 50 and len(page.content) < 300_000
    assertContains(page, "Older lines")


def test_it_stops_in_time_and_goes_on_from_there(app, client, monkeypatch):
    monkeypatch.setattr(archive_page, "SECONDS", 1e-9)
    write(app, [("app", "web.1", b"x" * 500)] * 500, every=1)
    address, seen = f"{HERE}?q=checkout", []
    for _ in range(20):
        page = client.get(address)
        seen += shown(page)
        if "Search on from there" not in page.text:
            break
        assertContains(page, "Searched back to 20 November, 12:")
        address = HERE + page.text.partition('href="?q=checkout&amp;')[2].partition('"')[0].join(
            ["?q=checkout&", ""]
        )
    assert seen == [1]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("from=yesterday", "From: “yesterday” is no time. Write it like 2"),
        ("to=99999-01-01", "To: “99999-01-01” is no time. Write it like 2"),
        ("from=2024-11-20T13:00&to=2024-11-20T12:00", "To: This is before “From”."),
    ],
)
def test_a_time_that_makes_no_sense_is_told(app, client, query, told):
    page = client.get(f"{HERE}?q=basket&{query}")
    assertContains(page, told)
    assertContains(page, 'value="basket"')
    assert shown(page) == []


def test_a_search_is_saved_opened_and_removed(app, client):
    kept = {"q": "basket -17", "source": ["app", "router"], "dyno": "web", "level": "error", "within": "3600"}
    answer = client.post(f"{HERE}searches/", {**kept, "name": "  Lost   baskets "})
    address = f"{HERE}?q=basket+-17&source=app&source=router&dyno=web&level=error&within=3600"
    assertRedirects(answer, address, status_code=303)
    page = client.get(HERE)
    assertContains(page, "Lost baskets")
    assertContains(page, escape(address))
    assertContains(client.get(address), 'aria-current="true"')
    search = SavedSearch.objects.get()
    assert (search.name, search.seconds, search.sources) == ("Lost baskets", 3600, ["app", "router"])
    client.post(f"{HERE}searches/{search.pk}/removal/")
    assert not SavedSearch.objects.exists()
    assert client.post(f"{HERE}searches/{search.pk}/removal/").status_code == 404
    assert {"saved the search", "removed the search"} <= set(Event.objects.values_list("verb", flat=True))


@pytest.mark.parametrize(
    ("name", "told"),
    [("", "Give it a name"), ("x" * 61, "60 characters at most"), ("Taken", "called Taken already")],
)
def test_a_name_that_is_refused_is_told_and_nothing_is_lost(app, client, name, told):
    client.post(f"{HERE}searches/", {"q": "basket", "name": "Taken"})
    page = client.post(f"{HERE}searches/", {"q": "hats", "within": "900", "name": name})
    assert page.status_code == 422
    assertContains(page, told, status_code=422)
    assertContains(page, '<input type="hidden" name="q" value="hats">', status_code=422)
    assert shown(page) == [] and SavedSearch.objects.count() == 1


def test_there_is_an_end_of_saving(app, client, monkeypatch):
    monkeypatch.setattr("addons.archives.MOST", 1)
    client.post(f"{HERE}searches/", {"q": "basket", "name": "One"})
    page = client.post(f"{HERE}searches/", {"q": "basket", "name": "Two"})
    assertContains(page, "1 searches are saved, which is the most.", status_code=422)


def test_without_an_archive_it_says_how_to_get_one(app, client):
    app.addons.get().delete()
    page = client.get(HERE)
    assertContains(page, "has no archive")
    assertContains(page, "/apps/shop/catalog/papertrail/")
    assert client.post(f"{HERE}searches/", {"q": "x", "name": "x"}).status_code == 404
    assertNotContains(client.get("/apps/shop/logs/"), HERE)


def test_searches_of_another_archive_are_absent(app, client, alice):
    client.post(f"{HERE}searches/", {"q": "basket", "name": "Mine"})
    other = make_app("other", owner=alice)
    make_addon(other, "papertrail:choklad", as_="PAPERTRAIL")
    answer = client.post(f"/apps/other/log-archive/searches/{SavedSearch.objects.get().pk}/removal/")
    assert answer.status_code == 404 and SavedSearch.objects.count() == 1


def test_to_give_it_up_says_what_goes(app, client, settings):
    client.post(f"{HERE}searches/", {"q": "basket", "name": "Mine"})
    removal = "/apps/shop/addons/logs-1/removal/"
    assertContains(client.get(removal), "Its log has less than 64 MB so far")
    settings.LOG_BYTES = 100
    page = client.get(removal)
    assertContains(page, "since 20 November 2024, the newest 0 MB stay: the rest goes for good.")
    assertContains(page, "A saved search goes with it.")
    assertContains(client.get("/apps/shop/addons/logs-1/plan/"), "lines beyond it go at once")
    assertContains(client.get("/apps/shop/addons/logs-1/"), HERE)


def test_the_command_line_opens_it(app, client):
    assertRedirects(client.get("/addons/logs-1/"), HERE, status_code=303)


@pytest.mark.parametrize("limits", [{}, {"days": "many", "log_mb": None}])
def test_a_plan_without_limits_has_the_usual_ones(app, client, limits):
    Plan.objects.filter(addons__app=app).update(limits=limits)
    assertContains(client.get(HERE), "of 256 MB; lines stay for 7 days")
