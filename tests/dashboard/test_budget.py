"""What a page may cost: queries, whatever the number of rows, and bytes. Each GET route of the product is held to it."""

import re
from functools import cache
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import sessions
from metering import prices
from tests import pages
from tests.world import LOOKING, World, sign_in

QUERIES = 12
BYTES = 150_000  # of HTML, CSS and JavaScript, uncompressed
# What the rows of a page are beside that: seven cards, four cards of review apps, five people to choose from, lines of a log,
# lanes of dynos with what happened to them, and calls of the API.
ROWS = {
    "/pipelines/{pipeline}/": 7 * 3_800,
    "/pipelines/{connected}/": 4 * 1_500,
    "/pipelines/{pipeline}/stages/production/": 5 * 250,
    "/apps/{app}/logs/": 120 * 350,
    "/apps/{app}/log-archive/": 100 * 350,
    "/apps/{app}/metrics/": 6 * 650 + 9 * 350,
    "/apps/{app}/metrics/?span=7d": 6 * 650 + 9 * 350,
    "/docs/api/": 150 * 200,
    "/docs/api/apps/": 23 * 1_000,
    "/docs/api/add-ons/": 20 * 1_000,
}


@pytest.fixture
def world(db):
    return World(1)


@pytest.fixture
def clients(world, monkeypatch):
    """By who looks: an empty name is nobody."""
    monkeypatch.setattr(sessions, "SEEN_SECONDS", 3600)  # however slow the machine, their use is noted once
    monkeypatch.setattr(prices, "KNOWN_SECONDS", 3600)  # and so are the prices of dynos asked for
    prices.of_sizes()
    found = {who: Client() for who in ("", *LOOKING)}
    for who in LOOKING:
        sign_in(found[who], getattr(world, who))
    for client in found.values():
        client.get("/jump/")  # the first request of a session notes it
    return found


def test_every_page_is_in_the_table(clients):
    missing = [name for name in pages.answering_get(clients["mara"]) if name not in pages.PAGES]
    assert not missing, (
        f"These routes answer GET and are in no line of tests/pages.py: {', '.join(missing)}. Add one to PAGES, "
        'as "route-name": [Page("/path/{app}/")], so that its queries, weight, looks and accessibility are checked. '
        "(A route that is only POSTed to belongs to require_POST.)"
    )
    known = {name for name, _ in pages.routes()}
    assert not [name for name in pages.PAGES if name not in known], "in tests/pages.py, but no route any more"


def test_every_page_answers(world, clients):
    found = {
        page: clients[page.who].get(page.path.format(**world.names)).status_code for page in pages.every()
    }
    wrong = [f"{page.path}: {status}" for page, status in found.items() if status != page.status]
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(900)  # it opens every page twice, and makes sixty of everything
def test_queries_are_few_and_do_not_grow_with_the_rows(world, clients):
    few = {page: _queries(page, world, clients) for page in pages.every()}
    world.grow(60)
    problems = []
    for page, before in few.items():
        after = _queries(page, world, clients)
        if len(after) > QUERIES or len(after) > len(before):
            problems += [f"{page.path}: {len(before)} queries, {len(after)} with 60 rows more", *after]
    assert not problems, f"{QUERIES} queries are allowed, whatever the rows:\n" + "\n  ".join(problems)


def test_pages_are_light(world, clients):
    weights = {page.path: _weight(_open(page, world, clients)) for page in pages.to_look_at()}
    heavy = {path: weight for path, weight in weights.items() if weight > BYTES + ROWS.get(path, 0)}
    assert not heavy, f"More than {BYTES:,} bytes of HTML, CSS and JavaScript: {heavy}"
    assert min(weights.values()) > 20_000, "the style sheets are counted"


def _open(page, world, clients):
    return clients[page.who].get(page.path.format(**world.names))


def _queries(page, world, clients):
    with CaptureQueriesContext(
        connection,
    ) as found:
        _open(page, world, clients)
    return [_gist(query["sql"]) for query in found]


def _gist(sql):
    """Enough of a query to know it by: its table, and what it asks for."""
    _, table, condition = sql.partition(" FROM ")
    return " ".join((table + condition).split())[:110]


def _weight(answer):
    """Bytes of the page with its style sheets, scripts and the modules that those import; files count once."""
    links = _Links()
    links.feed(answer.content.decode())
    todo, files = [urlsplit(link).path for link in links.found], {}
    while todo:
        path = todo.pop()
        if path in files:
            continue
        files[path] = _file(path)
        imported = re.findall(rb'(?:from|import) *\(?"\./([\w-]+\.js)"', files[path])
        todo += [f"{path.rpartition('/')[0]}/{one.decode()}" for one in imported]
    return len(answer.content) + sum(map(len, files.values()))


@cache
def _file(path):
    """As browsers that read no gzip get it."""
    return b"".join(Client().get(path, headers={"Accept-Encoding": "identity"}).streaming_content)


class _Links(HTMLParser):
    """The style sheets and scripts of a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "script" and given.get("src"):
            self.found.append(given["src"])
        if tag == "link" and given.get("rel") == "stylesheet":
            self.found.append(given["href"])
