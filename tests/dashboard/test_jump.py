"""Search: what is found, in which order, by whom, and at what price."""

import re
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import actions as account_actions
from apps import actions as app_actions
from apps.models import App
from releases.actions import create_build
from releases.models import Release
from tests.factories import make_app, make_pipeline, make_release, make_slug, make_source, stage


@pytest.fixture
def find(client, shop, alice):
    """`find("words")` gives what Alice finds, as (address, text) pairs."""
    client.force_login(alice)

    def find(words, user=None, recent="", **headers):
        if user:
            client.force_login(user)
        page = client.get("/jump/", {"q": words, "recent": recent}, headers={"HX-Request": "true", **headers})
        assert page.status_code == 200
        lines = re.findall(r'<a class="menu__item" href="([^"]+)".*?>(.*?)</a>', page.content.decode(), re.S)
        return [(url, " ".join(re.sub(r"<[^>]+>", " ", text).split())) for url, text in lines]

    return find


def urls(found):
    return [url for url, _ in found]


@pytest.mark.parametrize(
    "words, url",
    [
        ("shop", "/pipelines/shop/"),
        ("shop-staging", "/apps/shop-staging/"),
        ("production shop", "/apps/shop-production/"),
        ("SHOP Production", "/apps/shop-production/"),
        ("logs shop-staging", "/apps/shop-staging/logs/"),
        ("shop-staging logs", "/apps/shop-staging/logs/"),
        ("settings of shop-production", "/apps/shop-production/settings/"),
        ("config shop-sta", "/apps/shop-staging/config/"),
        ("activity shop", "/pipelines/shop/activity/"),
        ("promote staging", "/pipelines/shop/promotions/new/?from=shop-staging"),
        ("restart shop-production", "/apps/shop-production/restarts/new/"),
        ("add app shop", "/pipelines/shop/couplings/new/"),
        ("invite acme", "/teams/acme/members/"),
        ("acme", "/teams/acme/"),
        ("new pipeline", "/pipelines/new/"),
        ("token", "/account/tokens/"),
        ("v1 shop-staging", "/apps/shop-staging/releases/1/"),
        ("shop-staging 1", "/apps/shop-staging/releases/1/"),
    ],
)
def test_words_find(find, words, url):
    assert url in urls(find(words))


def test_a_domain_and_a_commit_lead_to_their_app(find, alice):
    app = App.objects.get(name="shop-production")
    app_actions.add_domain(app, "www.shop.example", by=alice)
    sha = "9c1f2ab" + "0" * 33
    release = make_release(app, by=alice, slug=make_slug(app, commit=sha, message="Fix the basket"))
    assert ("/apps/shop-production/", "www.shop.example Domain of shop-production") in find("shop.example")
    assert find("9c1f2")[0] == (
        f"/apps/shop-production/releases/{release.version}/",
        f"v{release.version} shop-production: Fix the basket Release, 9c1f2ab",
    )
    build = create_build(app, make_source(app, message="On its way"), by=alice)
    assert f"/apps/shop-production/builds/{build.pk}/" in urls(find(build.source.commit[-40:][:40]))


def test_the_promotion_says_where_to_and_production_offers_none(find):
    assert (
        "/pipelines/shop/promotions/new/?from=shop-staging",
        "Promote shop-staging to production p",
    ) in find("promote")
    assert "/pipelines/shop/promotions/new/?from=shop-production" not in urls(find("promote shop-production"))


def test_an_exact_name_comes_first_then_what_was_visited(find, team):
    make_app("shop", owner=team)
    assert urls(find("shop"))[:2] == ["/pipelines/shop/", "/apps/shop/"]
    names = [url for url in urls(find("shop-", recent="app:shop-staging")) if url.count("/") == 3]
    assert names[0] == "/apps/shop-staging/"


def test_without_words_what_was_visited_last_comes_first(find):
    found = urls(find("", recent="app:shop-production,pipeline:shop,app:not-mine"))
    assert found[:2] == ["/apps/shop-production/", "/pipelines/shop/"]
    assert found.count("/pipelines/shop/") == 1


def test_strangers_find_nothing_of_it(find, charlie, alice):
    app_actions.add_domain(App.objects.get(name="shop-production"), "www.shop.example", by=alice)
    commit = Release.objects.filter(app__name="shop-staging").first().slug.commit
    for words in ("shop", "logs shop", "promote", "v1", "www.shop", commit, "acme", "restart"):
        assert find(words, user=charlie, recent="app:shop-staging,pipeline:shop") == [], words


def test_a_viewer_is_offered_what_a_viewer_may_do(find, vera):
    found = urls(find("shop-staging", user=vera))
    assert "/apps/shop-staging/" in found
    assert not [url for url in found if "restarts" in url or "promotions" in url or "logs" in url]
    assert not [url for url in urls(find("invite acme", user=vera)) if "members" in url]


def test_a_restart_is_asked_about_and_never_done_by_looking(client, shop, alice, vera, charlie):
    before = list(App.objects.get(name="shop-staging").dynos.values_list("generation", flat=True))
    for user, status in ((alice, 200), (vera, 403), (charlie, 404)):
        client.force_login(user)
        assert client.get("/apps/shop-staging/restarts/new/").status_code == status
    client.force_login(alice)
    dialog = client.get("/apps/shop-staging/restarts/new/", headers={"HX-Request": "true"}).content.decode()
    assert 'action="/apps/shop-staging/restarts/"' in dialog and "<html" not in dialog
    assert list(App.objects.get(name="shop-staging").dynos.values_list("generation", flat=True)) == before


def test_it_is_a_page_without_script(client, shop, alice):
    client.force_login(alice)
    page = client.get("/jump/?q=promote staging").content.decode()
    assert "<h1>Search</h1>" in page and 'value="promote staging"' in page
    assert 'href="/pipelines/shop/promotions/new/?from=shop-staging"' in page
    results = page.split('class="panel panel__body jump-page"')[1].split("</main>")[0]
    assert 'role="option"' not in results


def test_nothing_found_says_what_can_be_tried(client, shop, alice):
    client.force_login(alice)
    page = client.get("/jump/?q=<nothing>&x=1").content.decode()
    assert "“&lt;nothing&gt;”" in page and "beginning of a commit" in page


def test_signed_out_it_leads_to_the_door(client):
    assert client.get("/jump/?q=shop").headers["Location"].startswith("/sign-in/")
    assert client.post("/jump/").status_code == 405


@pytest.mark.parametrize(
    "words", ["", "shop", "logs shop", "v1 shop", "abcd", "promote restart", "%_\\", "ünï"]
)
def test_it_takes_few_queries_however_much_there_is(client, shop, team, alice, words):
    client.force_login(alice)

    def count():
        with CaptureQueriesContext(connection) as queries:
            client.get("/jump/", {"q": words})
        return len(queries)

    count()  # the first request of a session notes it
    before = count()
    for number in range(20):
        make_app(f"shop-{number}", owner=team, stage=stage(shop, "staging"), released=True)
        make_pipeline(f"shop-{number}", owner=team)
        account_actions.create_team(f"shop-{number}", by=alice)
    assert count() == before <= 12


def test_a_thousand_apps_are_searched_at_once(client, team, shop, alice):
    first = App.objects.count()
    App.objects.bulk_create(App(name=f"app-{n:04}", team=team, slot=50_000 + n) for n in range(1000))
    assert App.objects.count() == first + 1000
    client.force_login(alice)
    client.get("/jump/?q=app-0001")
    times = []
    for words in ("app", "logs app-09", "promote"):
        start = time.process_time()
        assert client.get("/jump/", {"q": words}).status_code == 200
        times.append(time.process_time() - start)
    assert min(times) < 0.25, times  # seconds of this process alone
