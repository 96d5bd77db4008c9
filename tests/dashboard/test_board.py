"""The board: stages and cards, who sees which buttons, and a number of queries that does not grow."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from apps import actions as app_actions
from apps.models import App, Dyno, Formation
from dashboard import cards
from pipelines import actions
from pipelines.models import Coupling
from releases.actions import create_build, create_release
from releases.models import Build, Release
from tests.factories import make_app, make_release, make_slug, make_source, stage


def card_of(pipeline, user, name):
    context = cards.board_context(pipeline, user)
    return next(card for column in context["columns"] for card in column.cards if card.app.name == name)


def run(app, type="web", number=1, state="up", **extra):
    version = Release.objects.current_for(app).version
    return Dyno.objects.create(
        app=app, type=type, number=number, command="x", release_version=version, state=state, **extra
    )


def test_it_shows_stages_in_order_with_their_apps(shop, bob, client):
    actions.add_stage(shop, "canary", word="staging", after=stage(shop, "staging"), by=bob)
    client.force_login(bob)
    page = client.get("/pipelines/shop/").content.decode()
    places = [page.index(f'id="stage-{name}"') for name in ("development", "staging", "canary", "production")]
    assert places == sorted(places)
    assert page.index("shop-staging") > places[1]
    assert 'data-live="pipeline:' in page
    assert f'data-live="app:{App.objects.get(name="shop-staging").pk}"' in page


def test_strangers_get_404_and_visitors_sign_in(shop, charlie, client):
    assertRedirects(client.get("/pipelines/shop/"), "/sign-in/?next=/pipelines/shop/")
    client.force_login(charlie)
    foreign, absent = client.get("/pipelines/shop/"), client.get("/pipelines/shap/")
    assert foreign.status_code == absent.status_code == 404
    assert client.get("/apps/shop-staging/card/").status_code == 404
    assert client.get("/apps/shop-staging/card/menu/").status_code == 404


def test_cards_of_apps_that_the_viewer_may_not_view_are_absent(shop, charlie, alice, client):
    app_actions.share(App.objects.get(name="shop-staging"), charlie, ["view"], by=alice)
    client.force_login(charlie)
    page = client.get("/pipelines/shop/")
    assertContains(page, "shop-staging")
    assertNotContains(page, "shop-production")
    assertNotContains(page, "Add app")


def test_buttons_follow_rights(shop, alice, vera, client):
    client.force_login(alice)
    assertContains(client.get("/pipelines/shop/"), "data-promote")
    client.force_login(vera)
    page = client.get("/pipelines/shop/")
    assertNotContains(page, "data-promote")
    assertContains(page, 'aria-disabled="true" title="You do not have the right to deploy shop-staging"')
    menu = client.get("/apps/shop-staging/card/menu/")
    assertNotContains(menu, "Restart all dynos")
    assertNotContains(menu, "Remove from pipeline")
    client.force_login(alice)
    menu = client.get("/apps/shop-staging/card/menu/")
    for words in ("Restart all dynos", "Roll back", "Promote to", "Remove from pipeline"):
        assertContains(menu, words)


def test_promote_says_why_not(team, shop, alice):
    staging = Coupling.objects.get(app__name="shop-staging")
    make_app("shop-dev", owner=team, stage=stage(shop, "development"))
    assert "has not been deployed yet" in card_of(shop, alice, "shop-dev").why_not
    production = App.objects.get(name="shop-production")
    make_release(production, by=alice, slug=Release.objects.current_for(staging.app).slug)
    card = card_of(shop, alice, "shop-staging")
    assert card.drift.text == "Level with production"
    assert card.why_not.startswith("Production already runs")
    actions.uncouple(Coupling.objects.get(app=production), by=alice)
    assert card_of(shop, alice, "shop-staging").why_not == "Production has no app yet"


def test_states_and_their_strips(shop, alice):
    app = App.objects.get(name="shop-staging")
    dyno = run(app)
    card = card_of(shop, alice, "shop-staging")
    assert (card.state.kind, card.strip) == ("live", None)
    assert [(line.type, line.up, line.quantity) for line in card.now.lines] == [("web", 1, 1)]

    Dyno.objects.filter(pk=dyno.pk).update(state="crashed", exit_code=137, crashes=3, reason="Error R15")
    card = card_of(shop, alice, "shop-staging")
    assert card.state.kind == "crashed"
    assert (card.strip.title, card.strip.hue) == ("web.1 exited with 137", "bad")
    assert "Error R15." in card.strip.sub
    Dyno.objects.all().delete()

    Formation.objects.filter(app=app).update(quantity=0)
    assert card_of(shop, alice, "shop-staging").state.label == "Off"
    app_actions.set_maintenance(app, True, by=alice)
    assert card_of(shop, alice, "shop-staging").state.label == "Maintenance"


def test_a_build_and_a_release_under_way(shop, alice, client):
    app = App.objects.get(name="shop-staging")
    build = create_build(app, make_source(app, message="Add gift cards"), by=alice)
    assert card_of(shop, alice, app.name).strip.sub == "Waiting for its turn to build"
    steps = [
        {"name": "fetch source", "at": timezone.now().isoformat(), "seconds": 1.0},
        {"name": "compile", "at": timezone.now().isoformat(), "seconds": None},
    ]
    Build.objects.filter(pk=build.pk).update(status="running", started_at=timezone.now(), steps=steps)
    strip = card_of(shop, alice, app.name).strip
    assert (strip.title, strip.text, strip.sub, strip.done) == ("v2", "Add gift cards", "Build", 1)
    client.force_login(alice)
    assertContains(client.get("/pipelines/shop/?only=building"), "Add gift cards")

    Build.objects.filter(pk=build.pk).update(
        status="failed", reason="No Procfile", finished_at=timezone.now()
    )
    strip = card_of(shop, alice, app.name).strip
    assert (strip.title, strip.sub) == ("Build failed", "No Procfile")

    release = create_release(app, kind="deploy", description="Deploy", by=alice, slug=make_slug(app))
    Release.objects.filter(pk=release.pk).update(status="running", started_at=timezone.now())
    card = card_of(shop, alice, app.name)
    assert (card.state.kind, card.strip.title, card.version) == ("releasing", "v2", 1)

    Release.objects.filter(pk=release.pk).update(
        status="failed", reason="Error R10", finished_at=timezone.now()
    )
    card = card_of(shop, alice, app.name)
    assert card.strip.title == "v2 failed"
    assert card.strip.sub == "Error R10. v1 keeps serving."


def test_a_card_slides_in_once_after_a_promotion(shop, alice, client):
    app = App.objects.get(name="shop-production")
    source = Release.objects.get(app__name="shop-staging", current=True)
    make_release(app, by=alice, slug=source.slug, kind="promote")
    Release.objects.filter(app=app, current=True).update(from_release=source)
    client.force_login(alice)
    first = client.get("/apps/shop-production/card/?was=1")
    assertContains(first, "card--launched")
    assertContains(first, "Promoted from shop-staging")
    assertContains(first, "/apps/shop-production/card/?was=2")
    assertNotContains(client.get("/apps/shop-production/card/?was=2"), "card--launched")
    assertNotContains(client.get("/apps/shop-production/card/"), "card--launched")
    assert client.get("/apps/shop-production/card/?was=%00x").status_code == 200


def test_the_filter_narrows_down(shop, alice, client):
    client.force_login(alice)
    page = client.get("/pipelines/shop/?q=PRODUCTION alice")
    assertContains(page, 'id="c-shop-production"')
    assertNotContains(page, 'id="c-shop-staging"')
    assertNotContains(client.get("/pipelines/shop/?only=crashed"), 'class="card"')
    assert client.get("/pipelines/shop/?q=%00&only=%00").status_code == 200


@pytest.mark.parametrize("apps", [3, 100])
def test_it_costs_ten_queries_however_many_the_cards(
    apps, shop, team, alice, client, django_assert_max_num_queries
):
    fill(shop, team, alice, apps)
    client.force_login(alice)
    client.get("/apps/")  # the first request of a session notes it
    with django_assert_max_num_queries(10) as spent:
        page = client.get("/pipelines/shop/")
    assert page.content.decode().count('class="card"') == min(apps + 2, 30 if apps == 100 else 48)
    assert len(spent.captured_queries) == 10
    assert len(page.content) < 150_000


def test_a_card_alone_costs_no_more_than_the_board(shop, team, alice, client, django_assert_max_num_queries):
    fill(shop, team, alice, 100)
    client.force_login(alice)
    client.get("/apps/")
    with django_assert_max_num_queries(9):
        client.get("/apps/shop-staging/card/")


@pytest.mark.parametrize("name", ["shop-dev", "shop-staging", "shop-production"])
def test_a_card_alone_is_the_one_of_the_board(name, shop, team, alice, client):
    make_app("shop-dev", owner=team, stage=stage(shop, "development"), released=True)
    client.force_login(alice)
    on_board = client.get("/pipelines/shop/").content.decode()
    assert client.get(f"/apps/{name}/card/").content.decode().strip() in on_board


class TestManyApps:
    """A column shows the first of its apps; the stage alone shows all, in pages."""

    @pytest.fixture(autouse=True)
    def many(self, shop, team, alice, client):
        fill(shop, team, alice, 180)
        client.force_login(alice)

    def test_each_column_shows_some_and_says_how_many_there_are(self, client):
        page = client.get("/pipelines/shop/")
        assertContains(page, 'class="card"', 30)
        assertContains(page, '<span class="count">61</span>')
        assertContains(page, '<a class="lane__add" href="?stage=production">Show all 61</a>')
        assertContains(page, "data-partial")

    def test_a_stage_alone_has_pages(self, client):
        first = client.get("/pipelines/shop/?stage=production")
        assertContains(first, 'class="card"', 32)
        assertContains(first, "1 to 32 of 61")
        assertNotContains(first, 'id="stage-staging"')
        last = client.get("/pipelines/shop/?stage=production&page=2")
        assertContains(last, 'class="card"', 29)
        assertContains(last, 'id="c-shop-production"')
        assert len(first.content) < 150_000
        assert client.get("/pipelines/shop/?stage=nowhere").status_code == 404
        assert client.get("/pipelines/shop/?stage=production&page=x").status_code == 200

    def test_filters_look_at_what_is_not_shown(self, client):
        assertContains(client.get("/pipelines/shop/?q=bulk-179"), 'id="c-bulk-179"')
        Dyno.objects.filter(app__name="bulk-178").update(state="crashed")
        page = client.get("/pipelines/shop/")
        assertNotContains(page, 'id="c-bulk-178"')
        assertContains(page, "<span data-count>1</span> crashed")
        page = client.get("/pipelines/shop/?only=crashed")
        assertContains(page, 'id="c-bulk-178"')
        assertContains(page, 'class="card card--bad"', 1)
        assertContains(page, 'href="?"')


def test_a_promotion_whose_turn_is_to_come_is_shown(shop, alice):
    source = Coupling.objects.get(app__name="shop-staging")
    actions.promote(source, [Coupling.objects.get(app__name="shop-production")], by=alice)
    strip = card_of(shop, alice, "shop-production").strip
    assert (strip.title, strip.sub) == ("Promotion from shop-staging", "Waits for its turn")


def test_a_suspended_app_and_one_asleep_say_so(shop, alice):
    app = App.objects.get(name="shop-staging")
    run(app, state="idle")
    card = card_of(shop, alice, app.name)
    assert (card.state.kind, card.state.label) == ("idle", "Sleeping")
    App.objects.filter(pk=app.pk).update(suspended_at=timezone.now())
    card = card_of(shop, alice, app.name)
    assert (card.state.label, card.strip.title) == ("Suspended", "Suspended by an operator")


def test_a_build_is_told_with_what_earlier_ones_took(shop, alice, client):
    app = App.objects.get(name="shop-staging")
    now = timezone.now()
    for _ in range(3):
        build = create_build(app, make_source(app), by=alice)
        times = {"started_at": now - timedelta(seconds=90), "finished_at": now}
        Build.objects.filter(pk=build.pk).update(status="succeeded", **times)
    build = create_build(app, make_source(app), by=alice)
    steps = [{"name": "fetch source", "at": now.isoformat(), "seconds": None}]
    Build.objects.filter(pk=build.pk).update(status="running", started_at=now, steps=steps)
    assert card_of(shop, alice, app.name).strip.usual == 90
    client.force_login(alice)
    page = client.get("/pipelines/shop/")
    assertContains(page, "1 of 3 · <time")
    assertContains(page, "of about 1:30")


def test_the_menu_beside_promote_offers_each_app_of_the_next_stage(shop, team, alice, vera, charlie, client):
    make_app("shop-eu", owner=team, stage=stage(shop, "production"))
    client.force_login(alice)
    assertContains(client.get("/pipelines/shop/"), 'data-menu="/apps/shop-staging/card/targets/"')
    menu = client.get("/apps/shop-staging/card/targets/")
    for words in ("All of production", "2 apps", "?from=shop-staging&amp;to=shop-eu", "Any other app"):
        assertContains(menu, words)
    for user, status in ((vera, 403), (charlie, 404)):
        client.force_login(user)
        assert client.get("/apps/shop-staging/card/targets/").status_code == status


def test_a_stage_that_lets_others_in_only_is_shut(shop, bob, alice, client):
    stage(shop, "production").__class__.objects.filter(name="production").update(promoters="admins")
    assert card_of(shop, bob, "shop-staging").why_not == "You may not promote into production"
    assert card_of(shop, alice, "shop-staging").may_promote
    client.force_login(bob)
    assertContains(client.get("/pipelines/shop/"), "gate--shut")


def test_only_a_card_that_can_move_on_has_a_grip(shop, alice, vera, client):
    client.force_login(alice)
    assertContains(client.get("/pipelines/shop/"), 'data-grip="stage-production"', 1)
    client.force_login(vera)
    assertNotContains(client.get("/pipelines/shop/"), "data-grip")


def fill(pipeline, team, by, number, prefix="bulk"):
    """`number` more apps in the pipeline, each with a release and a dyno, made in bulk."""
    slot = App.objects.order_by("-slot").first().slot
    stages = [stage(pipeline, name) for name in ("development", "staging", "production")]
    apps = App.objects.bulk_create(
        App(name=f"{prefix}-{n}", team=team, slot=slot + 1 + n, last_version=1) for n in range(number)
    )
    slug = make_slug(apps[0])
    Coupling.objects.bulk_create(
        Coupling(app=app, stage=stages[n % 3], pipeline=pipeline) for n, app in enumerate(apps)
    )
    releases = [
        Release(
            app=app,
            version=1,
            kind="deploy",
            description="Deploy",
            slug=slug,
            status="succeeded",
            current=True,
            sealed_config="",
            process_types=slug.process_types,
            finished_at=timezone.now(),
        )
        for app in apps
    ]
    Release.objects.bulk_create(releases)
    Formation.objects.bulk_create(Formation(app=app, type="web", quantity=1) for app in apps)
    Dyno.objects.bulk_create(
        Dyno(app=app, type="web", number=1, command="x", release_version=1, state="up") for app in apps
    )


class TestAddApp:
    def test_it_makes_a_new_app_of_the_pipelines_owner(self, shop, bob, team, client):
        client.force_login(bob)
        assertContains(client.get("/pipelines/shop/couplings/new/?stage=staging"), "Add app to shop")
        answer = client.post(
            "/pipelines/shop/couplings/", {"how": "new", "name": "shop-eu", "stage": "production"}
        )
        app = App.objects.get(name="shop-eu")
        assertRedirects(answer, f"/pipelines/shop/#app-{app.pk}", 303, fetch_redirect_response=False)
        assert (app.team, app.coupling.stage.name) == (team, "production")

    def test_it_adds_one_that_is_there(self, shop, alice, client):
        app = make_app("lonely", owner=alice)
        client.force_login(alice)
        client.post("/pipelines/shop/couplings/", {"how": "existing", "app": "lonely", "stage": "staging"})
        assert Coupling.objects.get(app=app).stage.name == "staging"

    def test_it_makes_one_from_a_git_repository(self, shop, bob, client):
        client.force_login(bob)
        data = {"how": "git", "name": "shop-eu", "stage": "production", "ref": "v2"}
        client.post("/pipelines/shop/couplings/", {**data, "url": "https://example.com/shop.git"})
        build = Build.objects.get(app__name="shop-eu")
        assert (build.source.repository, build.source.ref) == ("https://example.com/shop.git", "v2")
        assert build.app.coupling.stage.name == "production"

    @pytest.mark.parametrize("url", ["", "shop", "file:///etc", "https://u:p@example.com/x"])
    def test_a_bad_repository_is_said_beside_its_field_and_leaves_nothing(self, url, shop, bob, client):
        client.force_login(bob)
        data = {"how": "git", "name": "shop-eu", "stage": "production", "url": url}
        answer = client.post("/pipelines/shop/couplings/", data)
        assertContains(answer, 'name="url" inputmode="url"', status_code=422)
        assertContains(answer, "aria-invalid", 1, status_code=422)
        assertContains(answer, 'value="git" checked', status_code=422)
        assert not App.objects.filter(name="shop-eu").exists()

    def test_a_bad_name_is_said_beside_the_field_and_leaves_nothing(self, shop, alice, client):
        client.force_login(alice)
        data = {"how": "new", "name": "Shop EU", "stage": "staging"}
        answer = client.post("/pipelines/shop/couplings/", data)
        assertContains(answer, "lower case letters", status_code=422)
        dialog = client.post("/pipelines/shop/couplings/", data, headers={"HX-Request": "true"})
        assert dialog.status_code == 422
        assertNotContains(dialog, "<html", status_code=422)
        data = {"how": "new", "name": "shop-xx", "stage": "review"}
        assert client.post("/pipelines/shop/couplings/", data).status_code == 422
        assert not App.objects.filter(name="shop-xx").exists()

    def test_someone_elses_app_is_no_app(self, shop, alice, charlie, client):
        make_app("foreign", owner=charlie)
        client.force_login(alice)
        data = {"how": "existing", "app": "foreign", "stage": "staging"}
        assert client.post("/pipelines/shop/couplings/", data).status_code == 404
        assertNotContains(client.get("/pipelines/shop/couplings/new/"), "foreign")

    def test_viewers_and_strangers_may_not(self, shop, vera, charlie, client):
        for user, status in ((vera, 403), (charlie, 404)):
            client.force_login(user)
            assert client.get("/pipelines/shop/couplings/new/").status_code == status
            data = {"how": "new", "name": "shop-eu", "stage": "staging"}
            assert client.post("/pipelines/shop/couplings/", data).status_code == status
        assert client.get("/pipelines/shop/couplings/").status_code == 405


class TestMoveAndRemove:
    def test_it_moves_an_app(self, shop, bob, client):
        client.force_login(bob)
        assertContains(client.get("/pipelines/shop/couplings/shop-staging/"), "Move shop-staging")
        client.post("/pipelines/shop/couplings/shop-staging/stage/", {"stage": "development"})
        assert Coupling.objects.get(app__name="shop-staging").stage.name == "development"

    def test_it_takes_an_app_out_and_leaves_it_running(self, shop, bob, client):
        client.force_login(bob)
        answer = client.post(
            "/pipelines/shop/couplings/shop-staging/removal/", headers={"HX-Request": "true"}
        )
        assert answer.headers["HX-Redirect"] == "/pipelines/shop/"
        assert not Coupling.objects.filter(app__name="shop-staging").exists()
        assert App.objects.alive().filter(name="shop-staging").exists()

    def test_others_may_not(self, shop, vera, charlie, client):
        for user, status in ((vera, 403), (charlie, 404)):
            client.force_login(user)
            for noun in ("stage", "removal"):
                url = f"/pipelines/shop/couplings/shop-staging/{noun}/"
                assert client.post(url, {"stage": "production"}).status_code == status
        assert Coupling.objects.get(app__name="shop-staging").stage.name == "staging"

    def test_bad_input_is_told(self, shop, alice, client):
        client.force_login(alice)
        url = "/pipelines/shop/couplings/shop-staging/stage/"
        assert client.post(url, {"stage": "nowhere"}).status_code == 404
        assert client.get(url).status_code == 405
        assert client.post("/pipelines/shop/couplings/other/stage/", {"stage": "staging"}).status_code == 404


def test_review_stages_are_hidden_while_they_are_off_but_for_who_can_enable_them(shop, alice, bob):
    shown = [column.stage.word for column in cards.board_context(shop, bob)["columns"]]
    assert shown == ["development", "staging", "production"]
    shown = [column.stage.word for column in cards.board_context(shop, alice)["columns"]]
    assert shown == ["review", "development", "staging", "production"]
