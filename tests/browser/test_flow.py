"""Lines in a browser: one person approves while another looks, a hold above the board, and all of it by keyboard."""

import pytest
from playwright.sync_api import expect

BOARD = "/pipelines/gated/"


def card_of(page, name):
    return page.locator(f"article[aria-labelledby='c-{name}']")


@pytest.fixture(scope="module")
def of_bob(chromium, site):
    """The cookies of Bob, who has nothing to do with the code."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site}/sign-in/?next={BOARD}")
    page.fill("#email", "bob@example.com")
    page.fill("#pw", "a fine password")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}{BOARD}")
    state = context.storage_state()
    context.close()
    return state


def test_one_approves_while_another_looks(open_page, chromium, site, of_bob):
    watched = open_page(BOARD)
    expect(card_of(watched, "gated-staging")).to_contain_text("Waiting for approval")
    context = chromium.new_context(storage_state=of_bob)
    page = context.new_page()
    page.goto(site + BOARD)
    card_of(page, "gated-staging").get_by_role("link", name="Review").click()
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("What will change")
    dialog.get_by_label("Note").fill("Looks right")
    dialog.get_by_role("button", name="Approve").click()
    expect(dialog).to_contain_text("Looks right")
    expect(dialog.get_by_role("button", name="Promote now")).to_be_visible()
    expect(card_of(watched, "gated-staging")).to_contain_text("Ready for production")
    dialog.get_by_role("button", name="Take back").click()
    expect(card_of(watched, "gated-staging")).to_contain_text("Waiting for approval")
    context.close()
    assert watched.complaints == []


def test_the_line_is_stopped_and_goes_on_by_keyboard(open_page):
    page = open_page(BOARD)
    watched = open_page(BOARD)
    page.get_by_role("link", name="Stop the line").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#hold-reason")).to_be_focused()
    page.keyboard.type("The sale runs")
    page.keyboard.press("Enter")
    expect(page.locator("#line-news")).to_contain_text("The sale runs")
    expect(watched.locator("#line-news")).to_contain_text("The sale runs")
    expect(watched.locator(".gate").first).to_contain_text("Held")
    page.locator("#line-news").get_by_role("link", name="Lift").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#lift-note")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#line-news")).not_to_contain_text("The sale runs")
    expect(watched.locator("#line-news")).not_to_contain_text("The sale runs")
    assert page.complaints == watched.complaints == []


def test_the_gate_opens_what_waits_there(open_page):
    page = open_page(BOARD)
    page.get_by_role("button", name="Gate to production").focus()
    page.keyboard.press("Enter")
    pop = page.locator("#gate-staging")
    expect(pop).to_be_visible()
    expect(pop).to_contain_text("gated-staging")
    expect(pop).to_contain_text("1 approval")


@pytest.mark.parametrize(
    "path",
    [BOARD, f"{BOARD}stages/production/line/", f"{BOARD}freezes/", f"{BOARD}stages/production/passages/"],
)
def test_no_page_is_wider_than_a_phone(open_page, path):
    page = open_page(path, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.complaints == []
