"""Searching everything."""

import pytest

from accounts.models import User
from apps import actions as apps
from apps import suspension
from apps.models import App
from pipelines.models import Pipeline
from releases.actions import create_build
from releases.models import Release, Slug
from tests.admin.conftest import page_of
from tests.factories import make_app, make_slug, make_source


@pytest.fixture
def found(operator, client, shop):
    def search(text, **more):
        return client.get("/admin/search/", {"s": text, "page": "1", **more}).text

    return search


def test_by_name_address_and_host_name(found, alice):
    domain = apps.add_domain(App.objects.get(name="shop-production"), "www.example.org", by=alice)
    for text in ("shop", "SHOP-prod"):
        assert page_of(App.objects.get(name="shop-production")) in found(text)
    assert page_of(Pipeline.objects.get()) in found("shop")
    assert page_of(alice) in found("alice@")
    assert page_of(alice) in found("liddell")
    assert page_of(alice.teams.get()) in found("acme")
    assert page_of(domain) in found("example.org")


def test_by_id_of_anything(found, alice):
    app = App.objects.first()
    build = create_build(app, make_source(app), by=alice)
    for row in (alice, alice.teams.get(), app, Pipeline.objects.get(), build, Release.objects.first()):
        assert page_of(row) in found(str(row.pk))


def test_by_commit_and_by_version(found, alice):
    app = App.objects.first()
    slug = make_slug(app, commit="abcdef0123456789")
    release = Release.objects.filter(app=app).first()
    Release.objects.filter(pk=release.pk).update(slug=slug)
    assert page_of(slug) in found("abcdef0")
    assert page_of(release) in found("abcdef0123")
    assert page_of(release) in found(f"{app.name} v{release.version}")
    assert page_of(slug) not in found("abc")  # that many letters may be anything


def test_the_quick_search_gives_what_unfold_swaps_in(operator, client, shop):
    answer = client.get("/admin/search/?extended=1&s=shop")
    assert 'id="command-results-list"' in answer.text and 'id="command-results-note"' in answer.text
    assert "<html" not in answer.text


def test_nothing_found_is_said_and_what_was_typed_is_only_shown(found):
    assert "Nothing here is called" in found("zzz")
    text = found('"><script>alert(1)</script>')
    assert "<script>alert(1)" not in text


def test_it_is_fresh_each_time(found, alice):
    assert "Nothing here is called" in found("latecomer")
    make_app("latecomer", owner=alice)
    assert page_of(App.objects.get(name="latecomer")) in found("latecomer")


def test_it_asks_little(found, django_assert_max_num_queries, alice):
    for n in range(20):
        make_app(f"shop-{n}", owner=alice)
    found("shop")
    with django_assert_max_num_queries(14):
        found("shop")
    with django_assert_max_num_queries(18):
        found("abcdef01")


def test_suspended_ones_are_marked(found, operator):
    suspension.suspend_app(App.objects.get(name="shop-staging"), True, by=operator)
    User.objects.filter(email="bob@example.com").update(is_active=False)
    assert "app of acme, suspended" in found("shop-staging")
    assert "suspended" in found("bob@")
    assert Slug.objects.exists()
