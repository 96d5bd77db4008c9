"""Review apps on the board and their pages: what is shown, to whom, and what each button does."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from apps.models import App
from forge.models import PullRequest, Repository
from pipelines.models import Stage
from reviews import actions
from reviews.models import AppSetup, ReviewApp, ReviewSettings
from tests.factories import make_app

FORM = {
    "enabled": "on",
    "stale_days": "5",
    "most": "8",
    "sleep_minutes": "0",
    "base_name": "",
    "forks": "ask",
    "parts": "",
}


@pytest.fixture
def on(shop, alice):
    actions.set_settings(shop, enabled=True, by=alice)
    return shop


@pytest.fixture
def pull(on, alice):
    repository = Repository.objects.create(
        pipeline=on,
        host="github",
        url="https://git.example.com/acme/shop.git",
        full_name="acme/shop",
        by=alice,
    )

    def make(number=7, **more):
        values = {
            "title": "Gift cards",
            "branch": "gift-cards",
            "commit": "a" * 40,
            "author": "Priya Nair",
            **more,
        }
        url = f"https://git.example.com/acme/shop/pull/{number}"
        return PullRequest.objects.create(repository=repository, number=number, url=url, **values)

    return make


@pytest.fixture
def row(on, alice):
    return actions.create(on, "feature", by=alice)[0]


def made(row, team, state="created"):
    app = make_app("shop-feature-x1", owner=team)
    ReviewApp.objects.filter(pk=row.pk).update(app=app, app_name=app.name, state=state)
    row.refresh_from_db()
    return app


def test_the_column_offers_to_enable_them(shop, alice, bob, client):
    client.force_login(alice)
    assertContains(client.get("/pipelines/shop/"), "Enable review apps")
    client.force_login(bob)
    assertNotContains(client.get("/pipelines/shop/"), "Enable review apps")


def test_an_open_pull_request_offers_one(pull, bob, vera, client):
    pull()
    client.force_login(bob)
    page = client.get("/pipelines/shop/")
    for text in ("Gift cards", "<b>#7</b>", "gift-cards", 'title="Priya Nair"', "Create review app"):
        assertContains(page, text)
    answer = client.post("/pipelines/shop/review-apps/", {"number": "7"})
    row = ReviewApp.objects.get()
    assertRedirects(
        answer, f"/pipelines/shop/#review-{row.pk}", status_code=303, fetch_redirect_response=False
    )
    assert row.pull_request.number == 7 and row.by == bob
    page = client.get("/pipelines/shop/")
    assertNotContains(page, "Create review app")
    assertContains(page, "Waiting")
    client.force_login(vera)
    assertNotContains(client.get("/pipelines/shop/"), "Destroy the review app")


def test_closed_ones_and_foreign_numbers_offer_none(pull, bob, client):
    pull(state="closed")
    client.force_login(bob)
    assertNotContains(client.get("/pipelines/shop/"), "Gift cards")
    for number in ("7", "8", "x", "9" * 30):
        assert client.post("/pipelines/shop/review-apps/", {"number": number}).status_code == 404


def test_a_branch_is_asked_for(on, bob, client):
    client.force_login(bob)
    assertContains(client.get("/pipelines/shop/review-apps/new/"), "Create review app")
    answer = client.post("/pipelines/shop/review-apps/", {"branch": "feature"})
    assert answer.status_code in (302, 303) and ReviewApp.objects.get().branch == "feature"
    again = client.post("/pipelines/shop/review-apps/", {"branch": "feature"})
    assertContains(again, "There is a review app of feature already", status_code=409)
    wrong = client.post("/pipelines/shop/review-apps/", {"branch": "--upload-pack=x"})
    assertContains(wrong, "--upload-pack=x", status_code=422)


def test_a_card_shows_the_app_and_why_it_failed(row, team, alice, client):
    app = made(row, team, "errored")
    ReviewApp.objects.update(message="The postdeploy script exited with status 1.")
    client.force_login(alice)
    page = client.get("/pipelines/shop/")
    for text in (
        "card--bad",
        "The postdeploy script exited",
        app.web_url,
        "Try again",
        f'data-live="app:{app.pk}"',
        "<span data-count>1</span> failed",
    ):
        assertContains(page, text)
    assertContains(page, "<span data-count>0</span> crashed")
    assertContains(client.get("/pipelines/shop/?only=failed"), "The postdeploy script exited")
    assertContains(client.get(f"/pipelines/shop/review-apps/{row.pk}/card/"), f'id="review-{row.pk}"')
    App.objects.filter(pk=app.pk).update(ephemeral="review")
    assertNotContains(client.get("/apps/"), app.name)
    client.post(f"/pipelines/shop/review-apps/{row.pk}/retrial/")
    assert ReviewApp.objects.get().state == "pending"


def test_it_is_destroyed_after_a_question(row, bob, client):
    client.force_login(bob)
    url = f"/pipelines/shop/review-apps/{row.pk}/removal/"
    assertContains(client.get(url), "Destroy the review app of feature?")
    assert not ReviewApp.objects.get().gone
    client.post(url)
    assert ReviewApp.objects.get().gone


def test_a_forks_new_commits_wait_for_a_yes(pull, bob, client, on):
    pull_request = pull(from_fork="mallory/shop")
    client.force_login(bob)
    assertContains(client.get("/pipelines/shop/"), 'title="From mallory/shop">Fork</span>')
    client.post("/pipelines/shop/review-apps/", {"number": "7"})
    PullRequest.objects.update(commit="b" * 40)
    assertContains(client.get("/pipelines/shop/"), "Build new commits")
    row = ReviewApp.objects.get()
    client.post(f"/pipelines/shop/review-apps/{row.pk}/approval/")
    row.refresh_from_db()
    assert row.commit == "b" * 40 and row.from_fork == pull_request.from_fork


def test_its_page_tells_how_it_went(row, team, alice, vera, client):
    app = made(row, team)
    setup = AppSetup.objects.create(
        app=app, by=alice, status="failed", manifest_errors=["app.json: env has to be an object."],
        postdeploy_code=3, postdeploy_output="seeding\n<b>no</b>\n",
    )  # fmt: skip
    ReviewApp.objects.update(setup=setup)
    client.force_login(alice)
    page = client.get(f"/pipelines/shop/review-apps/{row.pk}/")
    for text in (
        app.name,
        "app.json: env has to be an object.",
        "exited with status 3",
        "&lt;b&gt;no&lt;/b&gt;",
    ):
        assertContains(page, text)
    client.force_login(vera)
    assertNotContains(client.get(f"/pipelines/shop/review-apps/{row.pk}/"), "seeding")


def test_hostile_titles_are_shown_and_never_run(pull, alice, client):
    pull(title="<script>alert(1)</script>", branch='"><img src=x>', author="<i>x</i>")
    client.force_login(alice)
    page = client.get("/pipelines/shop/")
    assertNotContains(page, "<script>alert(1)")
    assertNotContains(page, "<img src=x>")
    assertContains(page, "&lt;script&gt;alert(1)")


def test_settings_are_saved_and_what_is_wrong_keeps_what_was_typed(shop, alice, client):
    client.force_login(alice)
    url = "/pipelines/shop/settings/review-apps/"
    assertRedirects(
        client.post(
            url, {**FORM, "automatic": "on", "drafts": "on", "parts": "web apps/web\napi services/api"}
        ),
        url,
        status_code=303,
    )
    row = ReviewSettings.objects.get()
    assert row.enabled and row.automatic and row.drafts and not row.wait_for_ci and row.most == 8
    assert row.parts == [{"name": "web", "path": "apps/web"}, {"name": "api", "path": "services/api"}]
    wrong = client.post(url, {**FORM, "most": "many", "base_name": "typed"})
    assertContains(wrong, "Give a number.", status_code=422)
    assertContains(wrong, 'value="typed"', status_code=422)
    assertContains(wrong, 'value="many"', status_code=422)
    assert ReviewSettings.objects.get().most == 8


def test_config_vars_are_set_and_not_shown_again(shop, alice, bob, vera, client):
    client.force_login(alice)
    url = "/pipelines/shop/settings/review-apps/"
    client.post(url + "config/", {"key": "STRIPE_KEY", "value": "sk_secret_1"})
    stage = Stage.objects.get(pipeline=shop, word="review")
    assert stage.config_vars.get().value == "sk_secret_1"
    for user, named in ((alice, True), (bob, True), (vera, False)):
        client.force_login(user)
        page = client.get(url)
        assertNotContains(page, "sk_secret_1")
        assert (b"STRIPE_KEY" in page.content) == named
    client.force_login(alice)
    wrong = client.post(url + "config/", {"key": "1 X", "value": "sk_secret_2"})
    assertContains(wrong, "1 X", status_code=422)
    assertNotContains(wrong, "sk_secret_2", status_code=422)
    client.post(url + "config/STRIPE_KEY/removal/")
    assert not stage.config_vars.exists()
    assert client.post(url + "config/STRIPE_KEY/removal/").status_code == 404


def test_many_of_them_cost_no_more_queries(pull, on, alice, team, client, django_assert_max_num_queries):
    for number in range(1, 13):
        pull(number, branch=f"b{number}")
        if number % 2:
            row = actions.create(on, "", pull_request=PullRequest.objects.get(number=number), by=alice)[0]
            app = make_app(f"shop-pr-{number}", owner=team)
            ReviewApp.objects.filter(pk=row.pk).update(app=app, state="created")
    client.force_login(alice)
    client.get("/apps/")
    with django_assert_max_num_queries(12):
        page = client.get("/pipelines/shop/")
    assert page.content.decode().count('class="card card--pr') >= 8
    assert len(page.content) < 150_000
