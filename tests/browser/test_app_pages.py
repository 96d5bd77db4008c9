"""An app's pages as people use them: scaling, rolling back, finding words in the output of a build."""

import time

from playwright.sync_api import expect

from engine.logstore import LogStore
from engine.spec import Line

OUTPUT = [
    "-----> Python app detected",
    "\x1b[33mwarn\x1b[0ming: no prebuilt wheel",
    "Built wheel pylibmc",
    "Done",
]


def test_a_change_of_the_formation_says_what_it_does_before_it_is_applied(open_page):
    page = open_page("/apps/shop-staging/")
    bar = page.locator("[data-pending]")
    expect(bar).to_be_hidden()
    page.click("[aria-label='One more web dyno']")
    expect(bar).to_contain_text("web 1 → 2")
    expect(bar).to_contain_text("1 web dyno starts")
    expect(bar).to_contain_text("$25 a month more.")
    page.select_option("#size-web", "standard-2x")
    expect(bar).to_contain_text("1 web dyno restarts as standard-2x")
    expect(bar).to_contain_text("$75 a month more.")
    page.click("[data-discard]")
    expect(bar).to_be_hidden()
    assert page.input_value("#quantity-web") == "1"
    page.click("[aria-label='One more web dyno']")
    page.click("[data-apply]")
    expect(page.locator("#h-formation + .count")).to_have_text("2 dynos")
    expect(bar).to_be_hidden()
    assert page.complaints == []


def test_it_rolls_back_from_the_dialog_with_a_reason(open_page):
    page = open_page("/apps/lonely/")
    page.click(".release-now .btn")
    dialog = page.locator("#dialog")
    expect(dialog.locator("h2")).to_have_text("Roll lonely back to v1?")
    dialog.locator("#note").fill("Hats do not fit")
    dialog.locator(".btn--primary").click()
    page.wait_for_url("**/apps/lonely/releases/3/")
    expect(page.locator("#story")).to_contain_text("Hats do not fit")
    assert page.complaints == []


def test_words_are_found_in_the_output_of_a_build(open_page, data):
    page = open_page("/apps/shop-dev/deploy/")
    page.click(".builds .list__title")
    page.wait_for_selector(".log[data-log]")
    stream = page.get_attribute(".log[data-log]", "data-log")
    LogStore(data / "logs").append(
        stream, [Line("app", "build", text.encode(), time.time()) for text in OUTPUT]
    )
    page.reload()
    hits = page.locator("[data-log-hits]")
    page.fill("[data-log-find]", "WHEEL")
    expect(hits).to_have_text("2")
    page.press("[data-log-find]", "Enter")
    expect(hits).to_have_text("1 of 2")
    page.press("[data-log-find]", "Shift+Enter")
    expect(hits).to_have_text("2 of 2")
    page.fill("[data-log-find]", "warning")  # the colours cut it in two
    expect(hits).to_have_text("1")
    assert page.evaluate("[...CSS.highlights.get('log-found')].map(String).join()") == "warning"
    page.fill("[data-log-find]", "nowhere")
    expect(hits).to_have_text("None")
    page.click("[aria-label='Wrap lines']")
    expect(page.locator(".log").first).to_have_class("log log--nowrap")
    assert page.complaints == []


def test_what_is_unfolded_stays_so_when_a_page_is_drawn_anew(open_page):
    page = open_page("/apps/shop-staging/metrics/")
    summary = page.locator("#dyno-events > summary")
    summary.press("Enter")
    expect(page.locator("#dyno-events")).to_contain_text("came up")
    page.evaluate("document.getElementById('metrics').dataset.old = ''")
    with page.expect_response("**/metrics/**"):
        page.evaluate("htmx.ajax('GET', location.pathname, {target: '#metrics', swap: 'outerHTML'})")
    expect(page.locator("#metrics[data-old]")).to_have_count(0)
    assert page.locator("#dyno-events").evaluate("one => one.open")
    expect(summary).to_be_focused()
    assert page.complaints == []


def test_what_is_typed_stays_when_a_page_is_drawn_anew(open_page):
    page = open_page("/apps/lonely/addons/outbox/")
    field = page.locator("main input[name=name]")
    field.fill("mailroom")
    field.evaluate("one => one.setSelectionRange(2, 4)")
    page.evaluate("document.querySelector('main [data-live]').dataset.old = ''")
    page.evaluate("document.querySelector('main [data-live]').dispatchEvent(new CustomEvent('nudge'))")
    expect(page.locator("[data-old]")).to_have_count(0)
    expect(field).to_have_value("mailroom")
    expect(field).to_be_focused()
    assert field.evaluate("one => [one.selectionStart, one.selectionEnd]") == [2, 4]
    assert page.complaints == []
