"""A second factor: set up, asked for, lost, taken away."""

import re
import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts import two_factor
from core import secrets
from core.models import Event
from releases import rotation

GOOD = {"email": "alice@example.com", "password": "a fine password"}


def code(secret, steps=0):
    """What an authenticator app shows, `steps` times 30 seconds from now."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def confirm(client):
    client.post("/account/confirm/", {"password": GOOD["password"]})


def shown_secret(page):
    return re.search(r'<code class="otp-secret">([A-Z2-7]+)</code>', page.text)[1]


def shown_codes(page):
    return re.findall(r"<li><code>(\d{8})</code>", page.text)


@pytest.fixture
def set_up(client, django_capture_on_commit_callbacks):
    """`set_up()` sets up the app in a session that is signed in: its secret, and the recovery codes."""

    def do():
        confirm(client)
        secret = shown_secret(client.get("/account/two-factor/app/"))
        with django_capture_on_commit_callbacks(execute=True):
            answer = client.post("/account/two-factor/app/", {"code": code(secret, -1)})
        assertRedirects(answer, "/account/two-factor/codes/", fetch_redirect_response=False)
        codes = shown_codes(client.get("/account/two-factor/codes/"))
        assert len(codes) == 10
        return secret, codes

    return do


@pytest.fixture
def protected(alice, client, set_up):
    """Alice's authenticator: secret and recovery codes. Her browser is signed out."""
    client.force_login(alice)
    found = set_up()
    client.post("/sign-out/")
    return found


def signed_in(client):
    return "_auth_user_id" in client.session


def test_setting_up_asks_who_it_is_first(alice, client):
    client.force_login(alice)
    answer = client.get("/account/two-factor/app/")
    assertRedirects(answer, "/account/confirm/?next=%2Faccount%2Ftwo-factor%2Fapp%2F")
    wrong = client.post("/account/confirm/?next=/account/two-factor/app/", {"password": "guess"})
    assertContains(wrong, "That is not your password.")
    right = client.post("/account/confirm/?next=/account/two-factor/app/", {"password": GOOD["password"]})
    assertRedirects(right, "/account/two-factor/app/")


@pytest.mark.promise("I-36")
def test_guessing_there_costs_patience_too(alice, client):
    client.force_login(alice)
    for _ in range(5):
        client.post("/account/confirm/", {"password": "guess"})
    assertContains(client.post("/account/confirm/", {"password": GOOD["password"]}), "Too many tries")


def test_the_page_shows_a_picture_and_the_secret_within_the_csp(alice, client):
    client.force_login(alice)
    confirm(client)
    answer = client.get("/account/two-factor/app/")
    assertContains(answer, 'src="data:image/svg+xml;base64,')
    assert "style=" not in answer.text
    wrong = client.post("/account/two-factor/app/", {"code": "000000"})
    assertContains(wrong, "That code is not right")
    assert shown_secret(wrong) in answer.text
    assert not Authenticator.objects.exists()


def test_signing_in_asks_for_a_code_from_then_on(protected, client):
    secret, _ = protected
    answer = client.post("/sign-in/", {**GOOD, "next": "/teams/"})
    assertRedirects(answer, "/sign-in/two-factor/", 303)
    assert not signed_in(client)
    assert client.get("/teams/").status_code == 302
    assertContains(client.post("/sign-in/two-factor/", {"code": "000000"}), "That code is not right")
    assert not signed_in(client)
    assertRedirects(client.post("/sign-in/two-factor/", {"code": code(secret)}), "/teams/")
    assert signed_in(client)


def test_a_code_is_good_once(protected, client):
    shown = code(protected[0])
    client.post("/sign-in/", GOOD)
    client.post("/sign-in/two-factor/", {"code": shown})
    client.post("/sign-out/")
    client.post("/sign-in/", GOOD)
    assertContains(client.post("/sign-in/two-factor/", {"code": shown}), "used already")
    assert not signed_in(client)


@pytest.mark.promise("I-36")
def test_codes_can_not_be_guessed(protected, client):
    client.post("/sign-in/", GOOD)
    for n in range(5):
        client.post("/sign-in/two-factor/", {"code": f"00000{n}"})
    assertContains(client.post("/sign-in/two-factor/", {"code": code(protected[0])}), "Too many tries")
    assert not signed_in(client)


def test_the_second_step_alone_opens_nothing(alice, client):
    assertRedirects(client.get("/sign-in/two-factor/"), "/sign-in/")
    assertRedirects(client.post("/sign-in/two-factor/", {"code": "123456"}), "/sign-in/")


def test_a_recovery_code_is_good_once(protected, client):
    _, codes = protected
    for expected in (True, False):
        client.post("/sign-in/", GOOD)
        client.post("/sign-in/two-factor/", {"code": codes[3]})
        assert signed_in(client) is expected
        client.post("/sign-out/")


def test_recovery_codes_are_shown_once_and_can_be_made_anew(alice, client, set_up):
    client.force_login(alice)
    _, codes = set_up()
    again = client.get("/account/two-factor/codes/")
    assertContains(again, "never will be again")
    assertNotContains(again, codes[0])
    assertContains(client.get("/account/two-factor/codes/new/"), "The 10 that you have left")
    assertRedirects(
        client.post("/account/two-factor/codes/new/"),
        "/account/two-factor/codes/",
        fetch_redirect_response=False,
    )
    fresh = shown_codes(client.get("/account/two-factor/codes/"))
    assert len(fresh) == 10
    assert not {*fresh} & {*codes}


def test_they_can_be_copied_and_downloaded_without_a_script(alice, client):
    client.force_login(alice)
    confirm(client)
    secret = shown_secret(client.get("/account/two-factor/app/"))
    client.post("/account/two-factor/app/", {"code": code(secret)})
    page = client.get("/account/two-factor/codes/").text
    codes = re.findall(r"<li><code>(\d{8})</code>", page)
    assert f'data-copy="{"&#10;".join(codes)}"' in page
    assert (
        f"%0A{codes[0]}%0A{codes[1]}%0A"
        in re.search(r'download="[\w.-]+" href="(data:text/plain[^"]+)"', page)[1]
    )


def test_a_password_that_was_found_out_does_not_turn_it_off(protected, client):
    client.post("/sign-in/", GOOD)
    client.post("/sign-in/two-factor/", {"code": protected[1][0]})
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 3600
    session.save()
    asked = client.post("/account/two-factor/app/removal/")
    assert asked.url.startswith("/account/confirm/code/")
    assert client.get("/account/confirm/").url.startswith("/account/confirm/code/")
    client.post("/account/confirm/", {"password": GOOD["password"]})
    assert client.post("/account/two-factor/app/removal/").status_code == 302
    assert Authenticator.objects.count() == 2
    client.post("/account/confirm/code/", {"code": code(protected[0])})
    assertContains(client.get("/account/two-factor/app/removal/"), "Remove your authenticator app?")
    assertRedirects(client.post("/account/two-factor/app/removal/"), "/account/two-factor/")
    assert not Authenticator.objects.exists()


def test_a_one_time_link_does_not_go_round_it(protected, alice, client):
    from accounts.actions import create_sign_in_link

    answer = client.post(f"/setup/{create_sign_in_link(alice)}/")
    assertRedirects(answer, "/sign-in/two-factor/", 303)
    assert not signed_in(client)


def test_api_and_git_take_no_password_at_all(protected, client):
    import base64

    basic = base64.b64encode(b"alice@example.com:a fine password").decode()
    headers = {"Authorization": f"Basic {basic}"}
    api = {**headers, "Accept": "application/vnd.heroku+json; version=3"}
    assert client.get("/account", headers=api).status_code == 401
    assert client.get("/shop.git/info/refs?service=git-upload-pack", headers=headers).status_code == 401


@pytest.mark.promise("I-38")
def test_secrets_are_sealed_at_rest_and_move_along_with_the_keys(protected, client, settings):
    secret, _codes = protected
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert "test." in stored
    settings.SLIPWAY_KEYS = [secrets.new_key("fresh"), *settings.SLIPWAY_KEYS]
    assert rotation.rotate() >= 2
    assert rotation.keys_in_use() == {"fresh"}
    client.post("/sign-in/", GOOD)
    client.post("/sign-in/two-factor/", {"code": code(secret)})
    assert signed_in(client)


def test_the_secret_that_waits_for_its_first_code_is_sealed(alice, client):
    client.force_login(alice)
    confirm(client)
    secret = shown_secret(client.get("/account/two-factor/app/"))
    assert all(secret not in str(row.get_decoded()) for row in Session.objects.all())


def test_the_activity_tells_of_it_without_secrets(protected, client):
    secret, codes = protected
    client.post("/sign-in/", GOOD)
    client.post("/sign-in/two-factor/", {"code": "000000"})
    client.post("/sign-in/two-factor/", {"code": code(secret)})
    told = list(Event.objects.order_by("at").values_list("verb", "details"))
    verbs = [verb for verb, _ in told]
    assert verbs.count("added a second factor to") == 2
    assert "refused a second factor of" in verbs
    assert ("signed in", {"ways": ["password", "totp"]}) in told
    for hidden in (secret, *codes):
        assert hidden not in str(told)


class TestDemanded:
    @pytest.fixture(autouse=True)
    def everyone(self, settings):
        settings.REQUIRE_TWO_FACTOR = "everyone"

    def test_nothing_else_opens_until_it_is_set_up(self, alice, client, set_up):
        client.force_login(alice)
        for page in ("/", "/teams/", "/account/tokens/", "/jump/"):
            assertRedirects(client.get(page), "/account/two-factor/")
        assert client.post("/teams/", {"name": "mine"}).status_code == 302
        assertContains(client.get("/account/two-factor/"), "asks for a second factor")
        set_up()
        assert client.get("/teams/").status_code == 200

    def test_tokens_go_on_working(self, alice, client):
        from accounts.actions import create_token

        _, token = create_token(alice, by=alice)
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.heroku+json; version=3"}
        assert client.get("/account", headers=headers).status_code == 200

    def test_a_slip_of_the_pen_stops_the_start(self, settings):
        settings.REQUIRE_TWO_FACTOR = "all"
        with pytest.raises(SystemCheckError, match="SLIPWAY_REQUIRE_TWO_FACTOR"):
            call_command("check")

    def test_only_of_operators(self, alice, client, settings):
        settings.REQUIRE_TWO_FACTOR = "operators"
        client.force_login(alice)
        assert client.get("/teams/").status_code == 200
        alice.is_staff = True
        alice.save()
        assertRedirects(client.get("/teams/"), "/account/two-factor/")


@pytest.mark.django_db(transaction=True)  # what follows the commit has to come before the answer
def test_the_admin_site_wants_to_see_the_factor_of_whoever_has_one(alice, client, set_up):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    before = Client()
    before.force_login(alice)
    assert before.get("/admin/").status_code == 200
    client.force_login(alice)
    secret, _ = set_up()
    assert client.get("/admin/").status_code == 200  # this session has just seen it
    assertRedirects(before.get("/admin/"), "/account/confirm/code/?next=%2Fadmin%2F")
    before.post("/account/confirm/code/?next=/admin/", {"code": code(secret)})
    assert before.get("/admin/").status_code == 200


def test_an_operator_helps_who_has_lost_all(protected, alice, bob, client):
    two_factor.turn_off(alice, by=bob)
    client.post("/sign-in/", GOOD)
    assert signed_in(client)
    assert Event.objects.filter(verb="turned off two-factor of", by=bob).count() == 1


def test_strangers_are_asked_to_sign_in(db, client):
    for page in ("", "app/", "app/removal/", "codes/", "codes/new/", "passkeys/new/", "passkeys/1/removal/"):
        assert client.get(f"/account/two-factor/{page}").url.startswith("/sign-in/"), page


def test_other_people_s_passkeys_are_absent(alice, bob, client):
    theirs = Authenticator.objects.create(user=bob, type="webauthn", data={"name": "Bob's", "credential": {}})
    client.force_login(alice)
    confirm(client)
    assert client.post(f"/account/two-factor/passkeys/{theirs.pk}/removal/").status_code == 404
    assert client.get(f"/account/two-factor/passkeys/{theirs.pk}/name/").status_code == 404
    assert Authenticator.objects.count() == 1
