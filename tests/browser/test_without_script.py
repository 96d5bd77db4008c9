"""The way from nothing to production without JavaScript: forms and links alone."""

import re

import pytest
from playwright.sync_api import expect


@pytest.fixture
def page(open_page):
    return open_page("/", java_script_enabled=False)


def test_create_a_pipeline_add_an_app_and_set_config(page, site):
    page.goto(f"{site}/pipelines/new/")
    page.fill("[name=name]", "plain")
    page.fill("[name=staging]", "plain-staging")
    page.get_by_role("button", name="Create pipeline").click()
    expect(page).to_have_url(f"{site}/pipelines/plain/")
    expect(page.locator("main")).to_contain_text("plain-staging")

    page.locator(".board-head").get_by_role("link", name="Add app").click()
    page.get_by_label("Stage").select_option(label="Production") if page.locator(
        "select[name=stage]"
    ).count() else None
    page.locator("[name=name]").first.fill("plain-production")
    page.locator("main form").get_by_role("button", name=re.compile("Add|Create")).first.click()
    expect(page).to_have_url(re.compile("/pipelines/plain/"))
    expect(page.locator("main")).to_contain_text("plain-production")

    page.goto(f"{site}/apps/plain-staging/config/")
    page.locator("main [name=key]").last.fill("GREETING")
    page.locator("main [name=value]").last.fill("hello")
    page.locator("main").get_by_role("button", name=re.compile("Add|Save")).last.click()
    expect(page.locator("main")).to_contain_text("GREETING")


def test_promote_and_roll_back(page, site):
    page.goto(f"{site}/pipelines/shop/")
    page.locator("article[aria-labelledby='c-shop-staging'] [data-promote]").click()
    page.locator("[name=note]").fill("Without script")
    page.locator("main form button.btn--primary").last.click()
    expect(page).to_have_url(re.compile(r"/promotions/[0-9a-f-]{36}/$"))
    expect(page.locator("main")).to_contain_text("Without script")

    page.goto(f"{site}/apps/lonely/rollbacks/new/?to=1")
    page.fill("[name=note]", "It was slow")
    page.locator("main form button.btn--primary").last.click()
    expect(page).to_have_url(re.compile(r"/apps/lonely/releases/[0-9]+/$"))
    expect(page.locator("main")).to_contain_text("Rollback to v1")


def test_search_is_a_page(page, site):
    page.locator("a.jump").click()
    page.fill("main [name=q]", "logs shop-eu")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Logs of shop-eu").click()
    expect(page).to_have_url(f"{site}/apps/shop-eu/logs/")
