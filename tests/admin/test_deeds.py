"""What operators do: asked first, done by actions, noted under their name."""

import re

import pytest
from django.test import Client

from accounts import actions as accounts
from accounts.models import ApiToken, Team
from apps.models import App
from core.models import Event
from releases import actions
from releases.models import Build
from tests.admin.conftest import deed_of, do, do_to_many, page_of
from tests.factories import make_app, make_source


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice, released=True)


def noted(operator):
    events = Event.objects.filter(by=operator, through="admin")
    return [(event.verb, event.label) for event in events.order_by("at")]


def test_a_question_comes_first_and_changes_nothing(operator, client, app):
    answer = client.get(deed_of(app, "suspend"))
    assert "visitors get a page that says so" in answer.text
    client.post(deed_of(app, "suspend"), {})
    answer = do_to_many(client, "suspend", app, confirmed=False)
    assert "visitors get a page that says so" in answer.text
    assert f'name="_selected_action" value="{app.pk}"' in answer.text
    app.refresh_from_db()
    assert app.suspended_at is None
    assert noted(operator) == []


def test_an_app_is_suspended_and_reinstated(operator, client, app):
    assert "Suspend" in client.get(page_of(app)).text
    answer = do(client, app, "suspend")
    assert "Suspend: done for shop." in answer.text
    assert "Reinstate" in answer.text
    app.refresh_from_db()
    assert app.suspended_at
    do(client, app, "reinstate")
    app.refresh_from_db()
    assert app.suspended_at is None
    assert noted(operator) == [("suspended", "shop"), ("reinstated", "shop")]


def test_several_at_once_and_what_was_refused_is_said(operator, client, team):
    apps = [make_app(name, owner=team) for name in ("one", "two")]
    do_to_many(client, "suspend", *apps)
    assert App.objects.exclude(suspended_at=None).count() == 2
    do_to_many(client, "reinstate", apps[0])
    do(client, Team.objects.get(pk=team.pk), "suspend")
    answer = do_to_many(client, "reinstate", *apps)
    assert "one is suspended with its team. Reinstate acme instead." in answer.text


def test_a_team_is_suspended_and_reinstated(operator, client, team):
    app = make_app("shop", owner=team)
    do(client, team, "suspend")
    app.refresh_from_db()
    assert app.suspended_at
    do(client, team, "reinstate")
    app.refresh_from_db()
    assert app.suspended_at is None


def test_restarting_cancelling_and_revoking(operator, client, app, alice):
    build = actions.create_build(app, make_source(app), by=alice)
    token, secret = accounts.create_token(alice, by=alice)
    do(client, app, "restart")
    do(client, build, "cancel")
    do_to_many(client, "revoke", token)
    assert Build.objects.get().cancel_asked
    assert ApiToken.objects.presented(secret) is None
    assert [verb for verb, _ in noted(operator)] == ["restarted", "cancelled", "revoked"]


def test_a_release_that_gets_nowhere_is_given_up(operator, client, alice):
    app = make_app("shop", owner=alice)
    release = actions.set_config(app, {"A": "1"}, by=alice)
    do(client, release, "fail")
    release.refresh_from_db()
    assert (release.status, release.reason) == ("failed", "An operator ended it.")
    assert noted(operator) == [("gave up", "v1")]


def test_what_does_not_fit_is_no_button_and_refused(operator, client, app, alice):
    build = actions.create_build(app, make_source(app), by=alice)
    Build.objects.update(status="succeeded")
    assert "/do/cancel/" not in client.get(page_of(build)).text
    answer = do(client, build, "cancel")
    assert "This build has" in answer.text


def test_a_person_is_suspended_with_their_sessions(operator, client, alice, shop):
    hers = Client()
    hers.force_login(alice)
    assert hers.get("/").status_code == 200
    do(client, alice, "suspend")
    assert hers.get("/").status_code == 302
    alice.refresh_from_db()
    assert not alice.is_active
    do(client, alice, "reinstate")
    alice.refresh_from_db()
    assert alice.is_active


def test_all_sessions_of_a_person_end(operator, client, alice, shop):
    browsers = [Client(), Client()]
    for browser in browsers:
        browser.force_login(alice)
        assert browser.get("/").status_code == 200
    do(client, alice, "sessions")
    assert [browser.get("/").status_code for browser in browsers] == [302, 302]
    assert client.get("/admin/").status_code == 200
    assert ("signed out a browser of", "alice@example.com") in noted(operator)


def test_all_tokens_of_a_person_end(operator, client, alice):
    secrets = [accounts.create_token(alice, by=alice)[1] for _ in range(2)]
    do(client, alice, "tokens")
    assert [ApiToken.objects.presented(secret) for secret in secrets] == [None, None]
    assert ("revoked all tokens of", "alice@example.com") in noted(operator)


def test_a_sign_in_link_is_shown_once_and_signs_in(operator, client, alice):
    answer = do(client, alice, "link")
    assert "no-store" in answer.headers["Cache-Control"]
    url = re.search(r'value="(http[^"]*/setup/[^"]+/)"', answer.text)[1]
    secret = url.rstrip("/").rsplit("/", 1)[1]
    assert secret not in client.get(page_of(alice)).text
    assert secret not in str(list(Event.objects.values()))
    assert accounts.open_account(secret, email="", password="") == alice
    assert ("made a sign-in link for", "alice@example.com") in noted(operator)


def test_no_link_for_who_is_suspended(operator, client, alice):
    accounts.suspend(alice, by=operator)
    answer = do(client, alice, "link")
    assert "is suspended. Reinstate them first." in answer.text


def test_a_team_s_limits_are_edited(operator, client, team):
    answer = client.post(
        page_of(team), {**inlines(), "max_apps": "5", "max_dynos": "", "max_builds": "2"}, follow=True
    )
    assert answer.status_code == 200
    team.refresh_from_db()
    assert (team.max_apps, team.max_dynos, team.max_builds) == (5, None, 2)
    event = Event.objects.get(verb="set the limits of")
    assert (event.by, event.through, event.details["after"]["max_apps"]) == (operator, "admin", 5)


def test_nonsense_is_no_limit(operator, client, team):
    answer = client.post(
        page_of(team), {**inlines(), "max_apps": "-3", "max_dynos": "many", "max_builds": ""}
    )
    assert answer.status_code == 200
    team.refresh_from_db()
    assert team.max_apps is None
    assert not Event.objects.filter(verb="set the limits of").exists()


def inlines():
    return {
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
        "memberships-MIN_NUM_FORMS": "0",
        "memberships-MAX_NUM_FORMS": "0",
    }


def test_an_unknown_deed_or_row_is_not_there(operator, client, app):
    assert client.get(deed_of(app, "destroy")).status_code == 404
    url = deed_of(app, "suspend")
    app.delete()
    assert client.get(url).status_code in (302, 404)


def test_deeds_are_for_operators(client, alice, app):
    client.force_login(alice)
    assert client.post(deed_of(app, "suspend"), {"confirmed": "yes"}, follow=True).status_code == 404
    app.refresh_from_db()
    assert app.suspended_at is None
