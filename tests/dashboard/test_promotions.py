"""Promote: the form says what will change, the post does it, and the progress page how it goes."""

import re
import subprocess

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from apps import actions as app_actions
from apps.models import App, ConfigVar, Formation
from core.models import Event
from pipelines import actions, changes, stages
from pipelines.models import Coupling, Promotion, PromotionTarget, Stage
from releases import repositories, requirements
from releases.actions import set_config
from releases.models import Manifest, Release
from tests.dashboard.test_board import fill
from tests.factories import make_addon, make_app, make_release, make_slug, stage
from tests.releases.test_differences import commit

NEW = "/pipelines/shop/promotions/new/?from=shop-staging"
POST = "/pipelines/shop/promotions/"


@pytest.fixture
def staging(shop):
    return App.objects.get(name="shop-staging")


@pytest.fixture
def production(shop):
    return App.objects.get(name="shop-production")


def form_of(page):
    """The fields of the promote form, as a browser would send them."""
    html = page.content.decode()
    data = dict(re.findall(r'type="hidden" name="(from|token|release)" value="([^"]*)"', html))
    data |= {"release": version for version in re.findall(r'<option value="(\d+)" selected', html)}
    data["to"] = re.findall(r'name="to" value="([^"]+)" checked', html)
    return data


def commits(app, *messages):
    """Commits in the repository of `app`, oldest first; their ids."""
    path = repositories.ensure(app)

    def git(*words):
        env = {"GIT_AUTHOR_NAME": "Ann <b>", "GIT_AUTHOR_EMAIL": "a@b", "PATH": "/usr/bin:/bin"}
        env |= {"GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "a@b"}
        done = subprocess.run(
            ["git", *words], cwd=path, env=env, input="", capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    tree, made = git("hash-object", "-t", "tree", "-w", "--stdin"), []
    for message in messages:
        made.append(git("commit-tree", tree, *(["-p", made[-1]] if made else []), "-m", message))
    return made


def settle(app):
    """Call done what waits, as the conductor would have."""
    Release.objects.filter(app=app, status="pending").update(status="succeeded")


def test_the_form_offers_the_next_stage(shop, alice, client):
    client.force_login(alice)
    page = client.get(NEW)
    assertContains(page, "Promote shop-staging to shop-production")
    assert form_of(page)["to"] == ["shop-production"]
    assertContains(page, "<html")
    dialog = client.get(NEW, headers={"HX-Request": "true"})
    assertNotContains(dialog, "<html")
    assertContains(dialog, 'hx-post="/pipelines/shop/promotions/"')


def test_it_promotes_to_the_next_stage(shop, alice, client):
    client.force_login(alice)
    answer = client.post(POST, {**form_of(client.get(NEW)), "note": "Friday"})
    promotion = Promotion.objects.get()
    assertRedirects(answer, f"/pipelines/shop/promotions/{promotion.pk}/", 303)
    assert [target.app.name for target in promotion.targets.all()] == ["shop-production"]
    assert (promotion.by, promotion.note, promotion.source.name) == (alice, "Friday", "shop-staging")


def test_htmx_gets_the_progress_in_the_dialog(shop, alice, client):
    client.force_login(alice)
    answer = client.post(POST, form_of(client.get(NEW)), headers={"HX-Request": "true"})
    assertContains(answer, f'id="promotion-{Promotion.objects.get().pk}"')
    assertNotContains(answer, "<html")


def test_any_other_app_can_be_chosen_and_an_older_release(shop, team, alice, staging, client):
    make_app("shop-dev", owner=team, stage=stage(shop, "development"))
    make_release(staging, by=alice)
    client.force_login(alice)
    page = client.get(f"{NEW}&release=1&to=shop-dev&to=shop-production&asked=1")
    data = form_of(page)
    assert sorted(data["to"]) == ["shop-dev", "shop-production"]
    client.post(POST, {**data, "release": "1"})
    promotion = Promotion.objects.get()
    assert promotion.release.version == 1
    assert promotion.targets.count() == 2


def test_no_target_is_refused(shop, alice, client):
    client.force_login(alice)
    page = client.get(f"{NEW}&asked=1")
    assertContains(page, "No target chosen")
    answer = client.post(POST, form_of(page), headers={"HX-Request": "true"})
    assertContains(answer, "Choose at least one app", status_code=422)
    assert not Promotion.objects.exists()


def test_it_says_what_will_change_and_never_a_value(shop, alice, staging, production, client):
    set_config(staging, {"ONLY_HERE": "s3cret-one", "SAME": "s3cret-two", "OTHER": "s3cret-three"}, by=alice)
    set_config(
        production, {"SAME": "s3cret-two", "OTHER": "s3cret-four", "ONLY_THERE": "s3cret-five"}, by=alice
    )
    settle(staging)
    settle(production)
    old, _, new = commits(staging, "Start <script>", "Add a cart", "Round prices")
    make_release(production, by=alice, slug=make_slug(staging, commit=old))
    types = {"web": "run", "release": "migrate --now", "clock": "tick"}
    make_release(staging, by=alice, slug=make_slug(staging, commit=new, process_types=types))
    make_addon(staging)

    client.force_login(alice)
    page = client.get(NEW)
    for text in (
        "2 commits",
        "Round prices",
        "Add a cart",
        "migrate --now",
        "clock",
        "heroku-postgresql",
        "mini",
    ):
        assertContains(page, text)
    assertNotContains(page, "s3cret")
    plan = changes.plan(
        Coupling.objects.get(app=staging),
        Release.objects.current_for(staging),
        [Coupling.objects.get(app=production)],
    )
    words = {row.name: (row.source, *row.targets) for row in plan.config}
    assert words == {
        "ONLY_HERE": ("set", "missing"),
        "ONLY_THERE": ("not set", "set"),
        "OTHER": ("set", "differs"),
    }
    assert plan.config_alike == 1
    assert [(row.name, row.source, row.targets) for row in plan.addons] == [
        ("heroku-postgresql", "mini", ("missing",))
    ]


def test_going_back_and_standing_still_are_said(shop, alice, staging, production, client):
    old, new = commits(staging, "Start", "Add a cart")
    make_release(production, by=alice, slug=make_slug(staging, commit=new))
    make_release(staging, by=alice, slug=make_slug(staging, commit=old))
    client.force_login(alice)
    assertContains(client.get(NEW), "goes back by 1 commit")
    make_release(production, by=alice, slug=Release.objects.current_for(staging).slug)
    assertContains(client.get(NEW), "runs this build already")


def test_what_changed_since_is_said_and_asked_again(shop, alice, production, client):
    client.force_login(alice)
    data = form_of(client.get(NEW))
    make_release(production, by=alice)
    answer = client.post(POST, {**data, "note": "Friday"})
    assertContains(answer, "shop-production runs v2 now.", status_code=409)
    assertContains(answer, 'value="Friday"', status_code=409)
    assert not Promotion.objects.exists()
    assert client.post(POST, form_of(answer)).status_code == 303


def bind(app, **types):
    """The formation of the app, as given."""
    Formation.objects.filter(app=app).delete()
    for type, quantity in types.items():
        Formation.objects.create(app=app, type=type, quantity=quantity)


CHANGES = {
    "code of the source": ("shop-staging runs v2 now.", lambda by, old, new: make_release(old, by=by)),
    "code of the target": ("shop-production runs v2 now.", lambda by, old, new: make_release(new, by=by)),
    "config of the source": (
        "The config vars of shop-staging changed.",
        lambda by, old, new: set_config(old, {"NEW": "1"}, by=by),
    ),
    "config of the target": (
        "The config vars of shop-production changed.",
        lambda by, old, new: set_config(new, {"NEW": "1"}, by=by),
    ),
    "a value": (
        "The config vars of shop-production changed.",
        lambda by, old, new: ConfigVar.objects.create(app=new, key="SET", value="2"),
    ),
    "add-ons": (
        "The add-ons of shop-staging changed.",
        lambda by, old, new: make_addon(old),
    ),
    "formation": (
        "The formation of shop-production changed.",
        lambda by, old, new: bind(new, web=3),
    ),
    "stage": (
        "shop-production is in development now.",
        lambda by, old, new: Coupling.objects.filter(app=new).update(
            stage=stage(new.coupling.pipeline, "development")
        ),
    ),
    "a release on its way": (
        "shop-production has a newer release, v2.",
        lambda by, old, new: make_release(new, by=by, current=False),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_of_source_and_target_is_noticed(what, shop, alice, staging, production, client):
    client.force_login(alice)
    data = form_of(client.get(NEW))
    said, change = CHANGES[what]
    change(alice, staging, production)
    answer = client.post(POST, data)
    assertContains(answer, said, status_code=409)
    assert not Promotion.objects.exists()
    again = form_of(answer)
    again["to"] = again["to"] or ["shop-production"]
    assert client.post(POST, again).status_code == 303


def test_a_target_that_was_not_shown_is_shown_first(shop, team, alice, client):
    """Ticked without JavaScript, it comes without its plan having been seen."""
    make_app("shop-eu", owner=team, stage=stage(shop, "development"), released=True)
    client.force_login(alice)
    data = form_of(client.get(NEW))
    answer = client.post(POST, {**data, "to": ["shop-production", "shop-eu"]})
    assertContains(answer, "What would change on shop-eu was not shown yet.", status_code=409)
    assert client.post(POST, form_of(answer)).status_code == 303
    assert Promotion.objects.get().targets.count() == 2


def test_one_after_another_or_all_at_once(shop, team, alice, client):
    make_app("shop-eu", owner=team, stage=stage(shop, "production"), released=True)
    client.force_login(alice)
    page = client.get(NEW + "&to=shop-eu&to=shop-production")
    assertContains(page, "Stops at the first failure")
    for order, expected in (("at-once", False), ("in-turn", True)):
        data = form_of(client.get(NEW + "&to=shop-eu&to=shop-production"))
        client.post(POST, {**data, "order": order})
        assert Promotion.objects.first().one_by_one is expected
        PromotionTarget.objects.all().delete()
    assertContains(
        client.get(f"{NEW}&to=shop-eu&to=shop-production&order=at-once"), 'value="at-once" checked'
    )
    assertNotContains(client.get(NEW + "&to=shop-eu"), "Stops at the first failure")


class TestStop:
    @pytest.fixture
    def promotion(self, shop, team, alice, production):
        make_app("shop-eu", owner=team, stage=stage(shop, "production"), released=True)
        targets = list(shop.couplings.filter(stage__name="production").order_by("-app__name"))
        source = shop.couplings.get(app__name="shop-staging")
        promotion = actions.promote(source, targets, by=alice, one_by_one=True)
        first = make_release(production, by=alice, kind="promote", current=False)
        Release.objects.filter(pk=first.pk).update(status="running")
        promotion.targets.filter(app=production).update(status="running", release=first, attempt=1)
        return promotion

    def test_what_has_not_begun_is_not_started(self, promotion, alice, client):
        client.force_login(alice)
        url = f"{POST}{promotion.pk}/"
        page = client.get(url)
        assertContains(page, "Stop before shop-eu")
        assertContains(page, "after shop-production")
        assertRedirects(client.post(f"{url}stop/"), url, 303)
        page = client.get(url)
        assertContains(page, "Not started, since Alice Liddell stopped the promotion. v1 keeps serving.")
        assertNotContains(page, "Stop before")
        promotion.refresh_from_db()
        assert promotion.status == "pending"
        assert client.post(f"{url}stop/").status_code == 409
        assert promotion.targets.get(app__name="shop-production").status == "running"
        assert Event.objects.filter(verb="stopped the promotion of").count() == 1

    def test_with_nothing_on_its_way_it_is_over(self, promotion, alice, client):
        promotion.targets.filter(status="running").update(status="succeeded")
        client.force_login(alice)
        answer = client.post(f"{POST}{promotion.pk}/stop/", headers={"HX-Request": "true"})
        assertContains(answer, "Stopped: live on 1 of 2, 1 not started")
        assertContains(answer, "Promote again to 1 app")
        promotion.refresh_from_db()
        assert promotion.status == "completed"

    def test_only_who_may_deploy_the_source(self, promotion, vera, charlie, client):
        url = f"{POST}{promotion.pk}/stop/"
        for user, status in ((vera, 403), (charlie, 404)):
            client.force_login(user)
            assert client.post(url).status_code == status
            assert client.get(url).status_code == 405
        assert promotion.targets.filter(status="pending").count() == 1


@pytest.mark.parametrize("apps", [2, 60])
def test_it_costs_the_same_however_many_the_apps(
    apps, shop, team, alice, client, django_assert_max_num_queries
):
    fill(shop, team, alice, apps)
    client.force_login(alice)
    client.get("/pipelines/shop/")
    with django_assert_max_num_queries(12):
        page = client.get(NEW)
    assert page.content.count(b'class="target"') <= 41
    assert (b"Another app" in page.content) == (apps == 60)


def test_an_app_beyond_the_list_is_named(shop, team, alice, client):
    fill(shop, team, alice, 60)
    client.force_login(alice)
    page = client.get(f"{NEW}&asked=1&to=&to=bulk-57")
    assert form_of(page)["to"] == ["bulk-57"]
    assert client.get(f"{NEW}&to=nothing").status_code == 404


def test_config_that_the_viewer_may_not_see_is_not_compared(shop, alice, bob, staging, production, client):
    set_config(staging, {"ONLY_STAGING": "1"}, by=alice)
    set_config(production, {"ONLY_PRODUCTION": "1"}, by=alice)
    Stage.objects.filter(pipeline=shop, name="production").update(readers="admins")
    client.force_login(bob)
    page = client.get(NEW)
    assertContains(page, "The config of shop-production is shown to admins only.")
    assertNotContains(page, "ONLY_PRODUCTION")
    client.force_login(alice)
    assertContains(client.get(NEW), "ONLY_PRODUCTION")


def test_a_stage_that_lets_only_admins_in_says_so(shop, alice, bob, client):
    Stage.objects.filter(pipeline=shop, name="production").update(promoters="admins")
    client.force_login(bob)
    page = client.get(NEW)
    assertContains(page, "you may not promote into production")
    assertContains(page, 'value="shop-production" disabled')
    token = form_of(client.get(NEW))
    answer = client.post(POST, {**token, "to": "shop-production"})
    assert not Promotion.objects.exists()
    assert answer.status_code in (403, 409)


def test_a_forged_or_missing_token_promotes_nothing(shop, alice, client):
    client.force_login(alice)
    data = form_of(client.get(NEW))
    for token in ("", "forged", data["token"] + "x"):
        assert client.post(POST, {**data, "token": token}).status_code == 409
    assert not Promotion.objects.exists()


def test_an_app_without_code_has_nothing_to_promote(shop, team, alice, client):
    make_app("shop-dev", owner=team, stage=stage(shop, "development"))
    client.force_login(alice)
    answer = client.get("/pipelines/shop/promotions/new/?from=shop-dev", headers={"HX-Request": "true"})
    assertContains(answer, "nothing to promote", status_code=422)
    assert answer.headers["HX-Retarget"] == "#flash"
    assert client.get(f"{NEW}&release=99").status_code == 422
    assert client.get(f"{NEW}&release=x%00").status_code == 422


def test_strangers_viewers_and_anonymous_may_not(shop, vera, charlie, client):
    for user, status in ((vera, 403), (charlie, 404)):
        client.force_login(user)
        assert client.get(NEW).status_code == status
        assert client.post(POST, {"from": "shop-staging", "to": "shop-production"}).status_code == status
    client.logout()
    assert client.post(POST).status_code == 302
    assert not Promotion.objects.exists()


def test_targets_need_a_right_of_their_own(shop, alice, bob, charlie, client):
    """Bob may promote in the pipeline, but not to Charlie's app in it."""
    app = make_app("shop-guest", owner=charlie, stage=stage(shop, "production"), released=True)
    app_actions.share(app, bob, ["view"], by=charlie)
    client.force_login(bob)
    page = client.get(NEW)
    assertContains(page, 'value="shop-guest" disabled')
    assert form_of(page)["to"] == ["shop-production"]
    assert client.post(POST, {**form_of(page), "to": "shop-guest"}).status_code == 403
    client.force_login(alice)
    assertNotContains(client.get(NEW), "shop-guest")
    assert client.post(POST, {**form_of(client.get(NEW)), "to": "shop-guest"}).status_code == 404


def test_rights_in_the_apps_are_enough(shop, alice, charlie, staging, production, client):
    """Charlie owns nothing here, but may deploy both apps."""
    for app in (staging, production):
        app_actions.share(app, charlie, ["deploy"], by=alice)
    client.force_login(charlie)
    assert client.post(POST, form_of(client.get(NEW))).status_code == 303
    assert Promotion.objects.get().by == charlie
    assertNotContains(client.get("/pipelines/shop/"), "Add app")


def test_get_is_refused_where_posts_go(shop, alice, client):
    client.force_login(alice)
    assert client.get(POST).status_code == 405
    assert client.post(NEW).status_code == 405


def test_progress_tells_each_target(shop, alice, vera, charlie, production, client):
    client.force_login(alice)
    client.post(POST, form_of(client.get(NEW)))
    promotion = Promotion.objects.get()
    url = f"{POST}{promotion.pk}/"
    assertContains(client.get(url), "Waiting")
    release = make_release(production, by=alice, slug=promotion.release.slug, kind="promote", current=False)
    steps = [{"name": "start", "at": "2026-01-01T00:00:00Z", "seconds": 3.2}]
    Release.objects.filter(pk=release.pk).update(status="running", steps=steps)
    promotion.targets.update(status="running", release=release)
    page = client.get(url)
    assertContains(page, "Releasing, 0 of 1 done")
    assertContains(page, f'data-log="{release.log_stream}"')
    assertContains(page, "3 s")
    assertContains(page, f'data-live="app:{production.pk}"')
    Release.objects.filter(pk=release.pk).update(status="failed")
    promotion.targets.update(status="failed", reason="The release command failed.")
    Promotion.objects.update(status="completed")
    page = client.get(url)
    assertContains(page, "The release command failed. v1 keeps serving.")
    assertContains(page, "Failed on 1 of 1")
    client.force_login(vera)
    assert client.get(url).status_code == 200
    client.force_login(charlie)
    assert client.get(url).status_code == 404


@pytest.fixture
def moved(staging, production, alice):
    """The source is a commit ahead, with a migration; its app.json asks for more than production has."""
    old = commit(staging, {"cart.py": "1\n2\n", "app.json": "{}"})
    new = commit(
        staging,
        {"cart.py": "1\n3\n4\n", "app.json": "{}", "cart/migrations/0002_prices.py": "x\n"},
        parent=old,
    )
    make_release(production, by=alice, slug=make_slug(staging, commit=old))
    slug = make_slug(staging, commit=new, process_types={"web": "x", "release": "migrate"})
    asked = {
        "env": {"SECRET_KEY": {"generator": "secret"}, "OPTIONAL": {"required": False}, "PLAIN": "x"},
        "addons": ["heroku-redis:mini", {"plan": "heroku-postgresql"}],
    }
    Manifest.objects.create(slug=slug, app_json=asked)
    return make_release(staging, by=alice, slug=slug)


def test_files_migrations_and_what_is_lacking_are_told(moved, production, alice, client):
    make_addon(production)
    set_config(production, {"PLAIN": "y"}, by=alice)
    client.force_login(alice)
    page = client.get(NEW)
    assertContains(page, "2 files")
    assertContains(page, "+3</span>")
    assertContains(page, "1 migration ")
    assertContains(page, "0002_prices.py")
    assertContains(page, "shop-production lacks what app.json asks for")
    assertContains(page, '<span class="mono">SECRET_KEY</span>')
    assertContains(page, '<span class="mono">heroku-redis</span>')
    assertNotContains(page, "OPTIONAL")
    assert requirements.missing_required(moved, production) == ["SECRET_KEY"]
    set_config(production, {"SECRET_KEY": "s"}, by=alice)
    assert requirements.missing_required(moved, production) == []


def test_what_it_lacks_is_not_told_to_who_may_not_see_its_config(moved, shop, team, alice, bob, client):
    stages.set_rules(stage(shop, "production"), promoters="deployers", readers="admins", by=alice)
    client.force_login(bob)
    page = client.get(NEW)
    assertNotContains(page, "SECRET_KEY")
    assertContains(page, '<span class="mono">heroku-postgresql, heroku-redis</span>')


def test_the_progress_tells_what_changes_to_who_may_read_the_code(moved, alice, vera, client):
    client.force_login(alice)
    client.post(POST, form_of(client.get(NEW)))
    here = f"{POST}{Promotion.objects.get().pk}/"
    page = client.get(here)
    assertContains(page, "What it changes: 1 commit")
    assertContains(page, "0002_prices.py")
    client.force_login(vera)
    assertNotContains(client.get(here), "0002_prices.py")
