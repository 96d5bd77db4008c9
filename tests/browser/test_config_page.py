"""Config vars in a browser: one value at a time, in place, and many at once with what they change."""

import re

import pytest
from playwright.sync_api import expect


@pytest.fixture
def page(open_page):
    page = open_page("/apps/lonely/config/")
    yield page
    assert page.complaints == []


def add(page, name, value, *, write_only=False):
    page.locator("#new-key").fill(name)
    page.get_by_label("Value of new config var").fill(value)
    if write_only:
        page.locator(".is-new .check").click()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(f"#var-{name}")).to_be_visible()


def test_a_value_is_shown_when_asked_for_and_changed_in_place(page):
    add(page, "GREETING", "hello there")
    row = page.locator("#var-GREETING")
    expect(row).not_to_contain_text("hello there")
    row.get_by_label("Reveal GREETING").click()
    expect(row).to_contain_text("hello there")
    row.get_by_label("Hide GREETING").click()
    expect(row).not_to_contain_text("hello there")
    row.get_by_label("Edit GREETING").click()
    field = page.get_by_label("Value of GREETING")
    expect(field).to_be_focused()
    field.fill("good bye")
    field.press("Enter")
    expect(page.locator("#var-GREETING.is-editing")).to_have_count(0)
    row.get_by_label("Reveal GREETING").click()
    expect(row).to_contain_text("good bye")


def test_many_at_once_with_what_they_change(page):
    add(page, "FIRST", "1")
    page.get_by_role("link", name="Edit as .env").click()
    dialog = page.locator("#dialog")
    dialog.get_by_role("button", name="Load all values").click()
    text = dialog.locator("#env-text")
    expect(text).to_have_value(re.compile("FIRST=1"))
    expect(dialog).not_to_have_class(re.compile("htmx-settling"))  # nobody types within 20 ms
    text.fill("FIRST=2\nSECOND=x")
    expect(dialog.locator("#env-changes")).to_contain_text("- FIRST=1")
    expect(dialog.locator("#env-changes .add")).to_have_text(["+ FIRST=2", "+ SECOND=x"])
    text.fill("no equals sign")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator("[role=alert]").first).to_contain_text("Line 1 has no")
    expect(dialog.locator("#env-text")).to_have_value("no equals sign")
    dialog.locator("#env-text").fill("SECOND=x")
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator("#var-SECOND")).to_be_visible()
    expect(page.locator("#var-FIRST")).to_have_count(0)
    page.complaints[:] = [line for line in page.complaints if "422" not in line]


def test_a_write_only_value_is_replaced_unseen(page):
    add(page, "SEALED", "never-shown", write_only=True)
    row = page.locator("#var-SEALED")
    expect(row).to_contain_text("Write-only")
    expect(row.get_by_label("Reveal SEALED")).to_have_count(0)
    row.get_by_label("Replace SEALED").click()
    expect(page.get_by_label("New value of SEALED")).to_have_value("")
    page.get_by_label("New value of SEALED").fill("another")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#var-SEALED.is-editing")).to_have_count(0)
    assert "never-shown" not in page.content() and "another" not in page.locator("#vars").inner_html()
