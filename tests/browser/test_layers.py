"""What an app inherits, in a browser: given by its stage, overridden in the app, and brought back."""

import pytest
from playwright.sync_api import expect


@pytest.fixture
def page(open_page):
    page = open_page("/pipelines/estate/settings/?open=staging#vars-staging")
    yield page
    assert page.complaints == []


def test_a_value_of_the_stage_is_overridden_and_brought_back(page, site):
    page.get_by_label("Name of a config var of Staging").fill("LOG_LEVEL")
    page.locator("#vars-staging").get_by_label("Its value").fill("from the stage")
    page.locator("#vars-staging").get_by_role("button", name="Set").click()
    expect(page.get_by_label("Reveal LOG_LEVEL")).to_be_visible()

    page.goto(f"{site}/apps/heir/config/")
    row = page.locator("#var-LOG_LEVEL")
    expect(row.get_by_role("link", name="Staging")).to_be_visible()
    expect(row.get_by_label("Remove LOG_LEVEL")).to_have_count(0)
    row.get_by_label("Override LOG_LEVEL").click()
    field = page.get_by_label("Value of LOG_LEVEL")
    expect(field).to_have_value("from the stage")
    field.fill("of its own")
    field.press("Enter")
    expect(row).to_contain_text("overrides Staging")

    row.get_by_label("Inherit LOG_LEVEL again").click()
    page.get_by_role("button", name="Inherit LOG_LEVEL", exact=True).click()
    expect(row).not_to_contain_text("overrides")
    row.get_by_label("Reveal LOG_LEVEL").click()
    expect(row).to_contain_text("from the stage")


@pytest.mark.parametrize("width", [390, 1440])
def test_the_pages_fit(open_page, width):
    for path in (
        "/pipelines/estate/config/",
        "/pipelines/estate/settings/?open=staging",
        "/apps/heir/config/",
    ):
        page = open_page(path, width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.complaints == []
