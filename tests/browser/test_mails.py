"""A mail that tries things, in a browser: it is seen, and that is all."""

from playwright.sync_api import expect

HERE = "/apps/lonely/addons/outbox/mails/"
ELSEWHERE = ("http://tracker.invalid/**", "https://storefront.example/**")


def test_hostile_html_is_seen_and_neither_runs_nor_calls_nor_leads_away(open_page):
    page = open_page(HERE)
    asked = []
    for place in ELSEWHERE:
        page.context.route(place, lambda route: (asked.append(route.request.url), route.abort()))
    page.get_by_role("link", name="Your order 10-4410").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Thank you, Ines")).to_be_visible()
    expect(frame.locator("img[src^='data:']")).to_be_visible()
    there, title = page.url, page.title()
    frame.get_by_role("button", name="Sign in").click()
    frame.get_by_role("link", name="Leave").click()
    frame.get_by_role("link", name="Follow your order").click()
    page.wait_for_function("document.readyState === 'complete'")
    assert (page.url, page.title(), asked) == (there, title, [])
    assert "taken over" not in page.content()
    assert any("sandboxed" in line for line in page.complaints)
    page.get_by_role("link", name="Text", exact=True).click()
    expect(page.get_by_text("Thank you. It is on its way")).to_be_visible()
    expect(page.get_by_role("link", name="orders/10-4410?t=9c1f2ab")).to_have_attribute(
        "rel", "noopener noreferrer nofollow"
    )


def test_mails_are_searched_as_one_types_and_deleted_by_keyboard(open_page):
    page = open_page(HERE, width=390)
    row = page.get_by_role("link", name="Your order 10-4410")
    page.get_by_role("searchbox", name="Search people and subjects").fill("nobody")
    expect(page.get_by_text("No mail is like that")).to_be_visible()
    page.get_by_role("searchbox", name="Search people and subjects").fill("INES 4410")
    expect(row).to_be_visible()
    assert page.url.endswith("?q=INES+4410") or page.url.endswith("?q=INES%204410")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Delete all").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Delete all mails")).to_be_visible()
    page.keyboard.press("Escape")
    expect(row).to_be_visible()
