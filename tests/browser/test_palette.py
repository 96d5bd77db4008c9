"""The palette, shortcuts, toasts, titles and icons, by keys and by mouse."""

import re

import pytest
from playwright.sync_api import expect

SELECTED = "#jump-results [aria-selected=true]"


def search(page, words):
    page.keyboard.press("/")
    expect(page.locator("#jump-results [role=option]").first).to_be_visible()
    page.keyboard.type(words)


def test_arrows_choose_and_enter_goes(open_page):
    page = open_page("/teams/")
    search(page, "shop-eu")
    expect(page.locator(SELECTED)).to_contain_text("shop-eu")
    field = page.locator("#jump input")
    first = field.get_attribute("aria-activedescendant")
    page.keyboard.press("ArrowDown")
    expect(field).not_to_have_attribute("aria-activedescendant", first)
    page.keyboard.press("ArrowUp")
    expect(field).to_have_attribute("aria-activedescendant", first)
    expect(page.locator("#jump-said")).to_contain_text("result")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/apps/shop-eu/$"))
    assert page.complaints == []


def test_enter_waits_for_what_was_typed_last(open_page):
    page = open_page("/teams/")
    search(page, "logs shop-eu")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/apps/shop-eu/logs/$"))


def test_what_changes_something_asks_first(open_page):
    page = open_page("/teams/")
    search(page, "promote shop-staging")
    expect(page.locator(SELECTED)).to_contain_text("Promote shop-staging to production")
    page.keyboard.press("Enter")
    expect(page.locator("#dialog")).to_contain_text("Promote shop-staging")
    page.keyboard.press("Escape")
    search(page, "restart shop-eu")
    expect(page.locator(SELECTED)).to_contain_text("Restart shop-eu")
    page.locator(SELECTED).click()
    expect(page.locator("#dialog")).to_contain_text("Restart shop-eu?")
    page.get_by_role("link", name="Keep running").click()
    expect(page.locator("#dialog")).to_be_hidden()
    assert page.complaints == []


def test_what_was_visited_comes_first_next_time(open_page, site):
    page = open_page("/apps/lonely/")
    page.goto(f"{site}/teams/")
    page.keyboard.press("/")
    expect(page.locator(SELECTED)).to_contain_text("lonely")
    expect(page.locator("#jump-results")).to_contain_text("Recently visited")


def test_the_sheet_shows_the_keys_that_work_here(open_page, site):
    page = open_page("/teams/")
    page.keyboard.press("?")
    sheet = page.locator("#shortcuts .keys")
    expect(sheet).to_contain_text("Search or jump")
    expect(sheet).not_to_contain_text("Move between cards")
    page.goto(f"{site}/pipelines/shop/")
    page.keyboard.press("?")
    for words in ("Move between cards", "Promote the selected app", "Open the app’s site", "Go to activity"):
        expect(sheet).to_contain_text(words)
    expect(sheet).not_to_contain_text("Pause or follow")
    page.goto(f"{site}/apps/shop-eu/logs/")
    page.keyboard.press("?")
    expect(sheet).to_contain_text("Pause or follow the log")


def test_single_keys_can_be_off_and_never_disturb_typing(open_page):
    page = open_page("/pipelines/shop/")
    page.locator("[data-board-filter]").focus()
    page.keyboard.type("p?/gp")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.evaluate("document.body.dataset.singleKeys = 'off'")
    page.locator("[data-board-filter]").blur()
    page.keyboard.type("jp?/gp")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.locator("[data-open=shortcuts]").click()
    expect(page.locator("#shortcuts")).to_contain_text("Single keys are switched off")


def test_a_promotion_by_keys_alone(open_page):
    page = open_page("/pipelines/shop/")
    for key in "jl":
        page.keyboard.press(key)
    page.keyboard.press("p")
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("Promote shop-staging")
    page.evaluate("document.querySelector('#dialog [name=note]').focus()")
    page.keyboard.type("By keys")
    for _ in range(12):
        if page.evaluate("document.activeElement.matches('#dialog button.btn--primary')"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("Promoting")
    expect(dialog).to_contain_text("By keys")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_the_tab_says_what_the_board_does(open_page):
    page = open_page("/pipelines/shop/")
    expect(page).to_have_title(re.compile("^◐ 1 building"))
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", re.compile("icon-building.svg$"))


def test_the_tab_says_what_the_app_does_and_calms_down(open_page):
    page = open_page("/apps/shop-dev/")
    expect(page).to_have_title("◐ Building · shop-dev · Slipway")
    page.evaluate("""() => {
        document.querySelector("[data-title]").dataset.title = "";
        htmx.trigger(document.body, "htmx:afterSettle");
    }""")
    expect(page).to_have_title(re.compile("^✓ v[0-9]+ live · shop-dev"))
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", re.compile("icon-live.svg$"))
    page.evaluate("""() => {
        Object.defineProperty(document, "hidden", { value: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    expect(page).not_to_have_title(re.compile("✓"))
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", re.compile("/icon.svg$"))


def test_toasts_stack_and_go_when_dismissed(open_page):
    page = open_page("/teams/")
    page.evaluate("""async () => {
        const { say } = await import("/static/js/flash.js");
        say("One"); say("Two", { bad: true });
    }""")
    expect(page.locator("#flash .toast")).to_have_text(["One", "Two"])
    assert page.locator("#flash").get_attribute("aria-live") == "polite"
    expect(page.get_by_role("alert")).to_have_text("Two")
    page.locator("#flash [data-dismiss]").last.click()
    expect(page.locator("#flash .toast")).to_have_text(["One"])


def test_a_lost_connection_says_what_it_means(open_page):
    page = open_page("/pipelines/shop/")
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    page.evaluate("document.documentElement.dataset.live = 'reconnecting'")
    expect(page.locator("#flash")).to_contain_text("What you see may be old")
    page.evaluate("document.documentElement.dataset.live = 'on'")
    expect(page.locator("#flash")).to_contain_text("Connected again")
    expect(page.locator("#flash")).not_to_contain_text("may be old")


@pytest.mark.parametrize("path", ["/pipelines/shop/", "/apps/shop-dev/"])
def test_nothing_moves_for_who_wants_no_motion(open_page, path):
    page = open_page(path, reduced_motion="reduce")
    page.keyboard.press("/")
    moving = page.evaluate("""() => [...document.querySelectorAll("*")].filter(one => {
        const style = getComputedStyle(one);
        return style.animationName !== "none" || !/^(none|all 0s.*|none 0s.*)$/.test(style.transition);
    }).map(one => one.outerHTML.slice(0, 120))""")
    assert moving == []
