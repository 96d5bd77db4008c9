"""People in a browser: invited, let in, given less, shown out; tokens that end."""

import json
import time
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE

PAGES = [
    "/teams/",
    "/teams/acme/",
    "/teams/acme/members/",
    "/teams/acme/activity/",
    "/teams/acme/settings/",
    "/teams/acme/removal/",
    "/account/",
    "/account/tokens/",
    "/account/removal/",
]
SOON = 6000  # milliseconds: 5 s are promised, and the page has to be drawn


@pytest.fixture
def newcomer(chromium):
    """A page of somebody who was never here."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def invite(page, email, role):
    """The link for a new invitation."""
    page.fill("#email", email)
    page.locator("#invite label", has_text=role).click()
    page.locator("#invite button").click()
    expect(page.locator(".offer")).to_contain_text(email)
    return page.locator(".offer code").inner_text()


@pytest.mark.parametrize("width", [390, 1440])
def test_the_pages_fit_and_keep_their_policy(open_page, site, width):
    page = open_page("/", width=width)
    for path in PAGES:
        assert page.goto(site + path).status == 200, path
        assert page.complaints == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.locator("h1").count() + page.locator("h2").count(), path


@pytest.mark.promise("I-31")
@pytest.mark.promise("I-35")
def test_someone_is_invited_given_less_and_shown_out(open_page, site, newcomer):
    alice = open_page("/teams/acme/members/")
    link = invite(alice, "dana@example.com", "Member")
    newcomer.goto(link)
    expect(newcomer.locator("main")).to_contain_text("Alice Liddell invites you")
    newcomer.fill("#name", "Dana Scully")
    newcomer.fill("#pw", "a fine long password")
    newcomer.keyboard.press("Enter")
    newcomer.wait_for_url(f"{site}/teams/acme/")

    newcomer.goto(f"{site}/pipelines/shop/")
    expect(newcomer.locator("html")).to_have_attribute("data-live", "on")
    expect(newcomer.locator("[data-promote]").first).to_be_visible()
    alice.goto(f"{site}/teams/acme/members/")
    expect(alice.get_by_role("button", name="Save the role of")).to_have_count(0)  # until another is chosen
    alice.get_by_label("Role of Dana Scully", exact=True).select_option("viewer")
    alice.get_by_role("button", name="Save the role of Dana Scully").click()
    expect(newcomer.locator("[data-promote]")).to_have_count(0, timeout=SOON)
    expect(newcomer.locator("h1").first).to_be_visible()

    alice.get_by_role("link", name="Remove Dana Scully").click()
    alice.get_by_role("button", name="Remove Dana").click()
    expect(newcomer.locator("main")).to_contain_text("Nothing on this slip", timeout=SOON)

    newcomer.goto(link)
    expect(newcomer.locator("main")).to_contain_text("This invitation no longer works")


@pytest.mark.promise("I-31")
def test_a_revoked_token_ends_what_it_opened(open_page, site):
    page = open_page("/account/tokens/")
    page.fill("#description", "To be revoked")
    page.get_by_role("button", name="Create token").click()
    secret = page.locator(".offer code").inner_text()
    asked = urllib.request.Request(
        f"{site}/apps/shop-eu/log-sessions",
        data=json.dumps({"tail": True}).encode(),
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    url = json.load(urllib.request.urlopen(asked, timeout=10))["logplex_url"]
    events = urllib.request.Request(url, headers={"Accept": "text/event-stream"})
    with urllib.request.urlopen(events, timeout=10) as stream:
        assert stream.readline() == b"retry: 1\n"
        page.get_by_role("button", name="Revoke To be revoked").click()
        expect(page.locator("#flash")).to_contain_text("is revoked")
        start = time.monotonic()
        stream.read()  # to its end
        assert time.monotonic() - start < SOON / 1000


def test_leaving_says_what_it_means_and_the_last_admin_stays(open_page):
    page = open_page("/teams/acme/settings/")
    page.get_by_role("link", name="Leave…").click()
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("Leave acme?")
    dialog.get_by_role("button", name="Leave acme").click()
    expect(dialog).to_contain_text("last admin of acme")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert [text for text in page.complaints if "422" not in text] == []


def test_single_keys_are_switched_off_in_the_account(open_page, site):
    page = open_page("/account/")
    page.get_by_role("switch").click()
    expect(page.locator("body[data-single-keys=off]")).to_have_count(1)
    page.get_by_role("switch").click()
    expect(page.locator("body[data-single-keys=off]")).to_have_count(0)


def test_a_form_says_that_it_was_sent_and_is_sent_once(open_page):
    page = open_page("/account/tokens/")
    sent = []

    def slowly(route):
        if route.request.method == "POST":
            sent.append(route.request.url)
            page.wait_for_timeout(600)
        route.continue_()

    page.route("**/account/tokens/**", slowly)
    page.get_by_label("What it is for").fill("pressed twice")
    button = page.get_by_role("button", name="Create token")
    assert button.get_attribute("aria-busy") is None
    assert button.evaluate("""one => {
      one.click();
      setTimeout(() => one.click(), 300);
      return new Promise(done => setTimeout(() => done(one.ariaBusy === "true"), 100));
    }""")
    expect(page.get_by_role("row", name="pressed twice")).to_have_count(1)
    assert len(sent) == 1
    page.go_back()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def test_a_form_of_htmx_is_ready_again_after_it_was_turned_down(open_page):
    page = open_page("/apps/shop-staging/config/")
    page.fill("[name=key]", "not a name")
    page.fill("[name=value]", "x")
    add = page.locator(".is-new button")
    page.evaluate("""() => {
      window.seen = [];
      new MutationObserver(changes => changes.forEach(({ target }) => seen.push(target.getAttribute("aria-busy"))))
        .observe(document.body, { subtree: true, attributeFilter: ["aria-busy"] });
    }""")
    add.click()
    expect(page.locator("#flash .toast")).to_contain_text("can't be a config var")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert page.evaluate("[seen[0], seen.at(-1)]") == ["true", None]
    page.fill("[name=key]", "A_NAME")
    add.click()
    expect(page.get_by_role("row", name="A_NAME")).to_be_visible()
