"""The board in a browser: dialogs, keys, live cards, both themes, and nothing that the CSP has to stop."""

import re

import pytest
from playwright.sync_api import expect

from tests.waiting import eventually

PAGES = [
    "/",
    "/pipelines/new/",
    "/pipelines/shop/",
    "/pipelines/shop/promotions/new/?from=shop-staging",
    "/pipelines/shop/couplings/new/",
    "/pipelines/shop/couplings/shop-staging/",
    "/pipelines/shop/settings/",
    "/pipelines/shop/removal/",
    "/pipelines/shop/activity/",
    "/jump/?q=shop",
    "/teams/",
    "/teams/acme/",
    "/apps/",
    "/apps/new/",
    "/apps/shop-dev/",
    "/apps/shop-us/resources/",
    "/apps/shop-dev/deploy/",
    "/apps/shop-eu/releases/",
    "/apps/lonely/releases/2/",
    "/apps/shop-eu/config/",
    "/apps/shop-dev/logs/",
    "/apps/shop-eu/activity/",
    "/apps/shop-eu/access/",
    "/apps/shop-eu/settings/",
    "/account/tokens/",
]


def card_of(page, name):
    return page.locator(f"article[aria-labelledby='c-{name}']")


@pytest.mark.promise("I-44")
@pytest.mark.promise("I-45")
def test_no_page_breaks_its_own_policy_nor_runs_what_people_wrote(open_page, site):
    page = open_page("/")
    for path in PAGES:
        assert page.goto(site + path).status == 200, path
        assert page.complaints == [], path
        assert page.evaluate("window.pwned") is None, path
        assert page.locator("h1, h2").first.is_visible(), path


@pytest.mark.parametrize(
    "path", ["/", "/pipelines/shop/", "/pipelines/shop/settings/", "/apps/shop-eu/", "/teams/acme/"]
)
def test_no_page_is_wider_than_a_phone(open_page, path):
    page = open_page(path, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_phone_shows_the_first_stage_that_has_apps_and_stays_where_it_is(open_page):
    page = open_page("/pipelines/shop/", width=390, height=844)
    current = page.locator(".stage-tabs a[aria-current='true']")
    first = page.locator(".stage:has(.card)").first.get_attribute("id")
    assert first != page.locator(".stage").first.get_attribute("id"), "the first stage of this board is empty"
    expect(current).to_have_attribute("href", f"#{first}")
    assert page.evaluate("scrollY") == 0
    page.locator(".stage-tabs a").last.click()
    last = page.locator(".stage").last.get_attribute("id")
    expect(current).to_have_attribute("href", f"#{last}")
    page.evaluate("window.drawn = document.getElementById('board'); htmx.trigger('#board', 'nudge')")
    eventually(lambda: page.evaluate("document.getElementById('board') !== window.drawn"))
    expect(page.locator(".stage").last).to_be_in_viewport(ratio=0.9)
    expect(current).to_have_attribute("href", f"#{last}")


def test_promote_opens_a_dialog_and_posts(open_page):
    page = open_page("/pipelines/shop/")
    card = card_of(page, "shop-staging")
    card.locator("[data-promote]").click()
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("Promote shop-staging to production")
    expect(dialog.locator("input[name=to]:checked")).to_have_count(2)
    dialog.locator("label", has_text="shop-us").click()
    expect(dialog.locator("button.btn--primary")).to_have_text("Promote to 1 app")
    dialog.locator("[name=note]").fill("From the browser")
    dialog.locator("button.btn--primary").click()
    expect(dialog).to_contain_text("Promoting")
    expect(dialog).to_contain_text("From the browser")
    expect(dialog.locator("tbody tr")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.complaints == []


def test_keys(open_page):
    page = open_page("/pipelines/shop/")
    page.keyboard.press("j")
    focused = "document.activeElement.getAttribute('aria-labelledby')"
    assert page.evaluate(focused) == "c-shop-dev"
    page.keyboard.press("l")
    assert page.evaluate(focused) == "c-shop-staging"
    page.keyboard.press("p")
    expect(page.locator("#dialog")).to_contain_text("Promote shop-staging")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("shop-")
    expect(page.locator("#jump-results")).to_contain_text("shop-staging")
    page.keyboard.type("us")
    expect(page.locator("#jump-results")).not_to_contain_text("shop-staging")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url(re.compile("/pipelines/shop/activity/"))


def test_the_filter_hides_cards(open_page):
    page = open_page("/pipelines/shop/")
    page.locator("[data-board-filter]").fill("shop-eu")
    expect(page.locator(".board .card:visible")).to_have_count(1)
    page.locator("[data-board-filter]").fill("")
    expect(page.locator(".board .card:visible")).to_have_count(4)


def test_chips_show_only_what_they_count(open_page):
    page = open_page("/pipelines/shop/")
    page.locator("[data-chip=crashed]").click()
    expect(page.locator(".board .card:visible")).to_have_count(1)
    expect(card_of(page, "shop-us")).to_be_visible()
    assert page.url.endswith("?only=crashed")
    page.reload()
    expect(page.locator(".board .card:visible")).to_have_count(1)
    page.locator("[data-chip=crashed]").click()
    expect(page.locator(".board .card:visible")).to_have_count(4)
    assert page.complaints == []


def test_dragging_a_card_onto_the_next_stage_promotes(open_page):
    page = open_page("/pipelines/shop/")
    grip = card_of(page, "shop-staging").locator("[data-grip]")
    grip.drag_to(page.locator("#stage-development .lane"))
    expect(page.locator("#dialog")).to_be_hidden()
    grip.drag_to(page.locator("#stage-production .lane"))
    expect(page.locator("#dialog")).to_contain_text("Promote shop-staging to production")
    assert page.complaints == []


def test_the_menu_beside_promote_names_the_targets(open_page):
    page = open_page("/pipelines/shop/")
    card = card_of(page, "shop-staging")
    card.get_by_label("Choose targets").click()
    card.locator(".menu__item", has_text="shop-eu").click()
    expect(page.locator("#dialog")).to_contain_text("Promote shop-staging to shop-eu")


def test_an_app_from_a_git_repository(open_page):
    page = open_page("/pipelines/shop/")
    page.locator(".board-head a", has_text="Add app").click()
    dialog = page.locator("#dialog")
    expect(dialog.locator("#coupling-url")).to_be_hidden()
    dialog.get_by_text("From a Git URL").click()
    dialog.locator("#coupling-name").fill("shop-from-git")
    dialog.locator("#coupling-url").fill("nowhere")
    dialog.locator("button.btn--primary").click()
    expect(dialog.locator("#coupling-url")).to_have_attribute("aria-invalid", "true")
    expect(dialog.locator("#coupling-name")).to_have_value("shop-from-git")


def test_a_card_changes_by_itself_and_its_menu_acts(open_page, site):
    watching = open_page("/pipelines/shop/")
    card = card_of(watching, "shop-eu")
    expect(watching.locator("html")).to_have_attribute("data-live", "on")
    acting = open_page("/apps/shop-eu/settings/")
    acting.locator(
        "form[action='/apps/shop-eu/maintenance/'] >> css=button, input[type=checkbox]"
    ).first.click()
    expect(card).to_contain_text("Maintenance")
    expect(watching.locator("#spoken")).to_have_text("shop-eu: Maintenance.")
    expect(watching.locator("[data-chip=waiting]")).to_contain_text("1 waiting")
    card.get_by_title("More actions for shop-eu").click()
    expect(card.locator(".menu")).to_contain_text("Remove from pipeline")
    card.locator(".menu__item", has_text="Move to another stage").click()
    expect(watching.locator("#dialog")).to_contain_text("shop-eu in shop")
    assert watching.complaints == []


def test_the_theme_is_switched_and_kept(open_page, site):
    page = open_page("/pipelines/shop/", color_scheme="light")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.locator("[data-theme-toggle]").click()
    dark = page.evaluate(background)
    assert dark != light
    page.goto(f"{site}/teams/")
    assert page.evaluate(background) == dark


def test_it_all_works_without_script(open_page):
    page = open_page("/pipelines/shop/", java_script_enabled=False)
    card_of(page, "shop-dev").locator("[data-promote]").click()
    page.locator("[name=note]").fill("No script")
    page.locator("button.btn--primary").click()
    page.wait_for_url(re.compile(r"/promotions/[0-9a-f-]{36}/$"))
    expect(page.locator("main")).to_contain_text("No script")


def test_signing_out_takes_one_click(chromium, site):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site}/")
    page.fill("#email", "alice@example.com")
    page.fill("#pw", "wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#pw-err")).to_contain_text("does not match")
    page.fill("#pw", "a fine password")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/")
    page.get_by_label("Account: Alice Liddell").click()
    page.get_by_text("Sign out").click()
    page.wait_for_url(f"{site}/sign-in/")
    context.close()
