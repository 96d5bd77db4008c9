"""The operators' site: who gets in, what is there, and what no form can do."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.apps import apps as registry
from django.contrib import admin
from django.urls import reverse
from django.utils import formats

from accounts.models import Team
from addons.models import AddonService, Plan
from apps.models import App, ConfigVar, Dyno
from config.admin_site.look import UNFOLD
from core.models import Event
from metering.models import DynoPrice
from releases import actions
from releases.models import Build, Release
from tests.admin.conftest import list_of, page_of
from tests.factories import make_app, make_source, make_user

OURS = {
    "accounts",
    "apps",
    "releases",
    "addons",
    "pipelines",
    "scheduler",
    "metering",
    "forge",
    "ci",
    "reviews",
    "flow",
    "notices",
    "blueprints",
    "hooks",
    "conductor",
    "core",
}
EXTRA = [
    "/admin/",
    "/admin/figures/",
    "/admin/audit/",
    "/admin/doctor/",
    "/admin/manifest/",
    "/admin/search/?s=shop",
    "/admin/search/?s=shop&page=1",
]


@pytest.fixture
def everything(shop, alice):
    """A row of most kinds, and more than one."""
    for app in App.objects.all():
        actions.create_build(app, make_source(app), by=alice)
        actions.set_config(app, {"A": "1", "B": "2"}, by=alice)
        Dyno.objects.create(app=app, type="web", number=1, command="x", release_version=1, state="up")


def test_every_table_can_be_searched_and_every_row_looked_at(operator, client, everything):
    seen = 0
    for model, site in admin.site._registry.items():
        assert site.search_fields, model
        assert client.get(list_of(model), {"q": "shop"}).status_code == 200, model
        for row in model._default_manager.all()[:2]:
            assert client.get(page_of(row)).status_code == 200, model
            seen += 1
    assert seen > 15


def test_strangers_sign_in_and_others_find_nothing(client, alice):
    answer = client.get("/admin/", follow=True)
    assert answer.request["PATH_INFO"] == reverse("sign-in")
    client.force_login(alice)
    for path in [*EXTRA, list_of(App), page_of(make_app(owner=alice))]:
        assert client.get(path, follow=True).status_code == 404, path


def test_a_suspended_operator_is_out(operator, client):
    type(operator).objects.filter(pk=operator.pk).update(is_active=False)
    assert client.get("/admin/").status_code == 302


def test_nothing_is_added_or_deleted_by_a_form_nor_changed_but_limits_prices_and_the_catalog(
    operator, client, everything
):
    for model in admin.site._registry:
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        if model is not Plan:
            assert client.post(reverse(f"{base}_add"), {}).status_code == 403
        for row in model._default_manager.all()[:1]:
            assert client.post(page_of(row, "delete"), {"post": "yes"}).status_code == 403
            if model not in (Team, DynoPrice, AddonService, Plan):
                assert client.post(page_of(row), {"status": "succeeded"}).status_code == 403, model


def test_every_model_of_ours_is_there():
    ours = {model._meta.model_name for model in registry.get_models() if model._meta.app_label in OURS}
    through_parents = {
        "collaborator",
        "certificate",
        "formation",
        "stage",
        "coupling",
        "promotiontarget",
        "membership",
        "attachment",
        "news",
        "logdrain",
        "certificateorder",
        "sharedaddon",
        "balancer",
        "schedule",
        "savedsearch",
        "gate",
        "verdict",
        "freeze",
        "testnode",
        "testcase",
    }
    secret = {"signinlink", "failedsignin", "clisignin", "oauthcode", "mail"}
    # a conductor's bookmark, its key to an authority, what is in an app's source, a partner's tokens, pushes under way
    inner = {
        "place",
        "authorityaccount",
        "manifest",
        "partnerresource",
        "memoryuse",
        "dynoevent",
        "traffic",
        "crash",
        "grant",
        "move",
    }
    personal = {"favorite", "readmark", "sshkey"}
    assert (
        ours - {model._meta.model_name for model in admin.site._registry}
        == through_parents | secret | personal | inner
    )


def test_nothing_of_others_is_there():
    assert {model._meta.app_label for model in admin.site._registry} == OURS


def queries_of(client, url, count):
    with count() as asked:
        assert client.get(url).status_code == 200
    return len(asked)


@pytest.fixture
def count(db):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    return lambda: CaptureQueriesContext(connection)


def test_no_page_asks_more_when_there_is_more(operator, client, everything, shop, team, alice, count):
    urls = [
        *EXTRA,
        *(list_of(model) for model in admin.site._registry),
        page_of(shop),
        page_of(team),
        page_of(alice),
    ]
    before = {url: queries_of(client, url, count) for url in urls}
    for n in range(12):
        app = make_app(owner=team, released=True)
        actions.create_build(app, make_source(app), by=make_user(f"person{n}@example.com"))
        actions.set_config(app, {"A": "1"}, by=alice)
        Dyno.objects.create(
            app=app, type="web", number=1, command="x", release_version=1, state="crashed", crashes=3
        )
    for url in urls:
        now = queries_of(client, url, count)
        assert now <= before[url] + 1, url  # one more where the first page had nothing of a kind
        assert now <= 20, url


@pytest.mark.parametrize("model", [Event, Build, Release, Dyno])
def test_endless_tables_are_never_counted(operator, client, everything, model, count):
    with count() as asked:
        client.get(list_of(model))
    counts = [query["sql"] for query in asked if "COUNT(" in query["sql"] and "badges" not in query["sql"]]
    table = model._meta.db_table
    assert not [
        sql for sql in counts if sql.startswith('SELECT COUNT(*) AS "__count"') and f'"{table}"' in sql
    ]


def test_its_pages_are_in_no_frame_and_of_one_origin(operator, client):
    policy = client.get("/admin/").headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_signing_out_here_is_signing_out(operator, client):
    client.post("/admin/logout/")
    assert client.get("/admin/").status_code == 302


def test_its_colours_are_the_product_s():
    tokens = re.sub(r"\s+", " ", (Path(__file__).parents[2] / "static/css/tokens.css").read_text())
    for name, shades in UNFOLD["COLORS"].items():
        for shade, colour in shades.items():
            assert colour in tokens, (name, shade)


def test_a_row_s_history_is_its_activity(operator, client, shop):
    app = App.objects.get(name="shop-staging")
    answer = client.get(page_of(app, "history"), follow=True)
    assert "created" in answer.text and "shop-staging" in answer.text
    assert "shop-production" not in answer.text


def test_config_vars_are_named_and_not_shown(operator, client, shop):
    app = App.objects.get(name="shop-staging")
    actions.set_config(app, {"TOKEN": "xyzzy-plugh"}, by=operator)
    answer = client.get(page_of(ConfigVar.objects.get(app=app)))
    assert "TOKEN" in answer.text and "xyzzy" not in answer.text


def test_a_price_is_set_and_noted_who_did_it(operator, client):
    price = DynoPrice.objects.get(size="basic")
    assert client.post(page_of(price), {"cents_per_month": "450"}).status_code == 302
    price.refresh_from_db()
    assert price.cents_per_month == 450
    event = Event.objects.get(verb="set the price of")
    assert (event.by, event.label, event.details) == (operator, "basic", {"before": 700, "after": 450})
    assert client.post(page_of(price), {"cents_per_month": "-1"}).status_code == 200
    assert DynoPrice.objects.get(size="basic").cents_per_month == 450


def test_operators_set_prices_and_what_is_offered(operator, client):
    plan = Plan.objects.get(service__name="heroku-postgresql", name="mini")
    page = client.get(page_of(plan))
    assert page.status_code == 200
    kept = {
        "service": plan.service_id,
        "name": plan.name,
        "human_name": plan.human_name,
        "description": "",
        "price_cents": "0",
        "limits": '{"connections": 5}',
        "features": "[]",
        "state": "public",
        "position": "3",
    }
    assert client.post(page_of(plan), kept).status_code == 302
    plan.refresh_from_db()
    assert (plan.price_cents, plan.limits, plan.edited) == (0, {"connections": 5}, True)
    assert Event.objects.filter(verb="edited", kind="plan").exists()


def test_times_are_told_with_24_hours():
    at = datetime(2026, 11, 27, 20, 24, tzinfo=UTC)
    assert formats.date_format(at, "DATETIME_FORMAT") == "27 Nov 2026, 20:24"
    assert formats.date_format(at) == "27 Nov 2026"
