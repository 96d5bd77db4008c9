"""Second factors in a real browser: an app's codes, and passkeys held by the browser's virtual authenticator."""

import time
from pathlib import Path

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from tests.browser.conftest import PATIENCE

PASSWORD = "a fine password"


def code(secret, steps=0):
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


@pytest.fixture
def browser_of(chromium, site):
    """`browser_of(email)` is a fresh browser's page, signed in by the form; its console stays empty."""
    contexts, complaints = [], []

    def open(email, path="/account/two-factor/"):
        context = chromium.new_context()
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{site}/sign-in/?next={path}")
        enter(page, email)
        page.wait_for_url(site + path)
        return page

    yield open
    for context in contexts:
        context.close()
    assert not complaints


def enter(page, email):
    page.fill("#email", email)
    page.fill("#pw", PASSWORD)
    page.keyboard.press("Enter")


def authenticator(page):
    """A passkey holder as laptops have one: it keeps keys, and knows its owner by a finger."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    return session, session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]


def test_an_app_is_set_up_and_asked_for(browser_of, site):
    page = browser_of("totp@example.com")
    page.click("text=Set up an app")
    page.wait_for_selector("#code")
    assert page.eval_on_selector(".qr", "image => image.naturalWidth") > 100
    secret = page.inner_text(".otp-secret")
    page.fill("#code", code(secret, -1))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/account/two-factor/codes/")
    codes = page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    with page.expect_download() as download:
        page.click("text=Download")
    assert download.value.suggested_filename == "slipway-recovery-codes.txt"
    kept = Path(download.value.path()).read_text()
    assert all(one in kept for one in codes)
    page.click("text=I have kept them")
    page.goto(f"{site}/account/two-factor/codes/")
    assert codes[0] not in page.content()

    page.context.clear_cookies()
    page.goto(f"{site}/sign-in/")
    enter(page, "totp@example.com")
    page.wait_for_url(f"{site}/sign-in/two-factor/")
    page.fill("#code", code(secret))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/")


def test_a_passkey_signs_in_without_a_password(browser_of, site):
    page = browser_of("passkey@example.com")
    session, holder = authenticator(page)
    page.click("text=Add passkey")
    page.wait_for_selector("form[data-passkey=create]")
    page.fill("#name", "Laptop")
    page.click("button:has-text('Add passkey')")
    page.wait_for_url(f"{site}/account/two-factor/codes/")
    page.goto(f"{site}/account/two-factor/")
    assert "Signs in without a password" in page.inner_text("main")

    page.context.clear_cookies()
    page.goto(f"{site}/sign-in/?next=/teams/")
    page.click("text=Use a passkey")
    page.wait_for_url(f"{site}/teams/")
    assert (
        session.send("WebAuthn.getCredentials", {"authenticatorId": holder})["credentials"][0]["signCount"]
        == 2
    )


def test_a_passkey_is_the_second_factor_too_and_can_be_taken_away(browser_of, site):
    page = browser_of("second@example.com")
    authenticator(page)
    page.click("text=Add passkey")
    page.fill("#name", "Blue key")
    page.click("button:has-text('Add passkey')")
    page.wait_for_url(f"{site}/account/two-factor/codes/")

    page.context.clear_cookies()
    page.goto(f"{site}/sign-in/?next=/account/two-factor/")
    enter(page, "second@example.com")
    page.wait_for_url(f"{site}/sign-in/two-factor/")
    page.click("text=Use a passkey")
    page.wait_for_url(f"{site}/account/two-factor/")
    page.click("[aria-label='Remove Blue key']")
    page.click("text=Remove passkey")
    page.wait_for_url(f"{site}/account/two-factor/")
    assert "Nothing to type" in page.inner_text("main")


def test_a_browser_signed_out_from_afar_is_gone_within_seconds(browser_of, site):
    here, there = (
        browser_of("afar@example.com", "/account/sessions/"),
        browser_of("afar@example.com", "/apps/"),
    )
    there.goto(f"{site}/pipelines/afar/")
    there.wait_for_selector("html[data-live=on]")
    here.reload()
    here.click("text=Sign out all others")
    here.wait_for_selector("text=Signed out 1 other browser")
    there.wait_for_url(f"{site}/sign-in/?next=/pipelines/afar/")


def test_it_says_what_to_do_without_a_script(chromium, site):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/sign-in/")
    assert not page.is_visible("text=Use a passkey")
    enter(page, "plain@example.com")
    page.wait_for_url(f"{site}/")
    page.goto(f"{site}/account/two-factor/passkeys/new/")
    assert "Passkeys need JavaScript" in page.inner_text("main")
    page.goto(f"{site}/account/two-factor/app/")
    assert len(page.inner_text(".otp-secret")) == 32
    context.close()
