"""The operators' site in a real browser: live, searched by keys alone, done after a question, and for everybody's eyes."""

import re
import sqlite3
from contextlib import closing

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE, serve


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("operators")


@pytest.fixture(scope="module")
def door(chromium, folder):
    """The site's address, and the cookies of an operator who came in by it."""
    with serve(folder, "tests.browser.seed_operators") as site:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{site}/admin/")
        page.fill("#email", "alice@example.com")
        page.fill("#pw", "a fine password")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{site}/admin/")
        cookies = context.storage_state()
        context.close()
        yield site, cookies


@pytest.fixture
def visit(chromium, door):
    site, cookies = door
    contexts = []

    def go(path, *, width=1440, **options):
        context = chromium.new_context(
            storage_state=cookies, viewport={"width": width, "height": 900}, base_url=site, **options
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda line: page.complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(path)
        return page

    yield go
    for context in contexts:
        context.close()


def write(folder, sql):
    with closing(sqlite3.connect(folder / "db.sqlite3", timeout=20)) as database:
        database.execute(sql)
        database.commit()


def test_its_figures_are_live(visit, folder):
    page = visit("/admin/")
    crashed = page.locator("#figures .adm-big a", has_text="crashed")
    expect(crashed).to_have_text(re.compile(r"^\s*1"))
    write(folder, "UPDATE apps_dyno SET state = 'up' WHERE state = 'crashed'")
    expect(crashed).to_have_text(re.compile(r"^\s*0"))
    write(
        folder,
        "UPDATE apps_dyno SET state = 'crashed' WHERE app_id = (SELECT id FROM apps_app WHERE name = 'shop-us')",
    )
    assert page.complaints == []


def test_anything_is_found_by_keys_alone(visit):
    page = visit("/admin/releases/build/")
    page.keyboard.press("Control+k")
    expect(page.locator("#search-input-command")).to_be_focused()  # or it gets only a part of what is typed
    page.keyboard.type("shop-eu")
    expect(page.locator("#command-results-list li").first).to_contain_text("shop-eu")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/apps/app/*/change/")
    expect(
        page.locator("h1, .text-important").filter(has_text=re.compile("shop-eu", re.I)).first
    ).to_be_visible()
    assert page.complaints == []


def test_an_app_is_suspended_after_a_question(visit):
    page = visit("/admin/search/?page=1&s=shop-dev")
    page.click("text=shop-dev")
    page.click("text=Suspend")
    expect(page.locator(".adm-question")).to_contain_text("visitors get a page that says so")
    page.click("button:has-text('Suspend')")
    page.wait_for_url("**/change/")
    expect(page.locator("body")).to_contain_text("Suspend: done for shop-dev.")
    page.click("text=Reinstate")
    page.click("button:has-text('Reinstate')")
    expect(page.locator("body")).to_contain_text("Reinstate: done for shop-dev.")
    assert page.complaints == []


PAGES = ["/admin/", "/admin/apps/app/", "/admin/core/event/", "/admin/search/?page=1&s=shop", "/admin/audit/"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_wrong_for_anybody(visit, path, scheme):
    page = visit(path, color_scheme=scheme)
    page.wait_for_load_state("networkidle")
    found = [
        fault
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in found] == []


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wider_than_a_telephone(visit, path):
    page = visit(path, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.complaints == []


def test_without_a_script_it_can_be_read(visit):
    page = visit("/admin/", java_script_enabled=False)
    expect(page.locator("#figures")).to_be_visible()
    expect(page.locator("#figures h2").first).to_contain_text("Builds")
