"""Where someone is signed in, and signing out from afar."""

from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.test import Client
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts.actions import create_token
from core.models import Event

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"
)


def browser(user, agent=FIREFOX, address="203.0.113.7"):
    client = Client(headers={"user-agent": agent}, REMOTE_ADDR=address)
    client.post("/sign-in/", {"email": user.email, "password": "a fine password"})
    return client


def test_each_browser_is_listed_with_what_it_is(alice):
    here, there = browser(alice), browser(alice, PHONE, "198.51.100.4")
    page = here.get("/account/sessions/")
    assertContains(page, "Firefox on Linux")
    assertContains(page, "203.0.113.7")
    assertContains(page, "Safari on iOS")
    assertContains(page, "198.51.100.4")
    assert page.text.index("Firefox on Linux") < page.text.index("Safari on iOS")
    assertContains(there.get("/account/sessions/"), "this one", 1)


def test_one_is_signed_out(alice):
    here, there = browser(alice), browser(alice, PHONE)
    far = UserSession.objects.get(user_agent=PHONE)
    assertRedirects(here.post(f"/account/sessions/{far.pk}/removal/"), "/account/sessions/", 303)
    assert there.get("/teams/").url == "/sign-in/?next=/teams/"
    assertNotContains(here.get("/account/sessions/"), "Safari")
    assert Event.objects.get(verb="signed out a browser of").details == {"devices": ["Safari on iOS"]}


def test_all_others_are_signed_out_but_tokens_stay(alice):
    here, others = browser(alice), [browser(alice, PHONE), browser(alice)]
    _, token = create_token(alice, by=alice)
    assertContains(here.get("/account/sessions/"), "Your 1 API token keeps working")
    assertRedirects(here.post("/account/sessions/others/removal/"), "/account/sessions/", 303)
    assert [one.get("/teams/").status_code for one in (here, *others)] == [200, 302, 302]
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.heroku+json; version=3"}
    assert Client().get("/account", headers=headers).status_code == 200


def test_sessions_of_others_are_absent(alice, bob):
    browser(bob)
    theirs = UserSession.objects.get()
    answer = browser(alice).post(f"/account/sessions/{theirs.pk}/removal/")
    assert answer.status_code == 404
    assert UserSession.objects.filter(pk=theirs.pk).exists()


def test_a_new_password_leaves_only_this_one(alice):
    here, _there = browser(alice), browser(alice, PHONE)
    new = "an even finer one"
    here.post("/account/password/", {"old": "a fine password", "new": new, "again": new})
    page = here.get("/account/sessions/")
    assertContains(page, "this one", 1)
    assertNotContains(page, "Safari")


def test_what_has_ended_is_forgotten_at_the_next_sign_in(alice):
    for _ in range(3):
        browser(alice).post("/sign-out/")
    browser(alice)
    assert UserSession.objects.count() == 1


def test_last_use_is_noted_with_where_from(alice):
    client = browser(alice)
    cache.clear()
    client.get("/teams/", REMOTE_ADDR="192.0.2.33", headers={"user-agent": PHONE})
    row = UserSession.objects.get()
    assert (row.ip, row.user_agent) == ("192.0.2.33", PHONE)


def test_reading_pages_is_not_writing_all_the_time(alice, django_assert_num_queries):
    client = browser(alice)
    client.get("/teams/")
    with django_assert_num_queries(3) as seen:
        client.get("/teams/")
    assert not [one["sql"] for one in seen.captured_queries if not one["sql"].startswith("SELECT")]


def test_many_cost_no_more_than_few(alice, django_assert_max_num_queries):
    client = browser(alice)
    for _ in range(40):
        Client().force_login(alice)
        browser(alice)
    with django_assert_max_num_queries(12):
        page = client.get("/account/sessions/")
    assertContains(page, "Page 1 of 2")


def test_what_a_browser_says_of_itself_is_shown_not_run(alice):
    client = browser(alice, "<script>alert(1)</script>")
    assertContains(client.get("/account/sessions/"), "An unknown browser")
    assertNotContains(client.get("/account/sessions/"), "alert(1)")


def test_verbs_refuse_get_and_strangers(alice, client):
    for page in ("/account/sessions/others/removal/", "/account/sessions/1/removal/"):
        assert client.post(page).url.startswith("/sign-in/")
        client.force_login(alice)
        assert client.get(page).status_code == 405
        client.logout()
