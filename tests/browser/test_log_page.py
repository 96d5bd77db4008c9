"""Logs in a browser: lines come in, following and pausing, links to lines, colours; and text stays text.

The lines are appended by this process, so no nudge reaches the server: all of them come by its own slow look.
"""

import re
import sqlite3
import time

import pytest
from playwright.sync_api import expect

from engine.logstore import LogStore
from engine.spec import Line


@pytest.fixture
def log(data, site):
    """`log("text", …)` appends to the log of shop-dev."""
    store = LogStore(data / "logs")
    with sqlite3.connect(data / "db.sqlite3") as database:
        ((pk,),) = database.execute("SELECT id FROM apps_app WHERE name = 'shop-dev'").fetchall()
    stream = f"app/{pk[:8]}-{pk[8:12]}-{pk[12:16]}-{pk[16:20]}-{pk[20:]}"

    def append(*texts, dyno="web.1"):
        return store.append(stream, [Line("app", dyno, text.encode(), time.time()) for text in texts])

    yield append
    store.close()


def test_lines_come_in_and_the_page_follows_them(open_page, log):
    log(*(f"before {n}" for n in range(100)))
    page = open_page("/apps/shop-dev/logs/")
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    last = log("after", "the end")
    line = page.locator(f"#L{last}")
    expect(line).to_be_in_viewport()
    expect(line.locator("span")).to_have_text("the end")
    expect(line.locator(".log__src")).to_have_text("web.1")
    numbers = page.eval_on_selector_all(".log__line", "rows => rows.map(row => Number(row.id.slice(1)))")
    assert numbers == list(range(numbers[0], last + 1))
    assert page.complaints == []


def test_space_pauses_and_the_chip_goes_on(open_page, log):
    log(*(f"line {n}" for n in range(100)))
    page = open_page("/apps/shop-dev/logs/")
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    page.locator(".log").press("Space")
    expect(page.locator("[data-log-follow]")).to_have_attribute("aria-pressed", "false")
    last = log("one", "two")
    chip = page.locator("[data-log-jump]")
    expect(chip).to_contain_text("2 new lines")
    expect(page.locator(f"#L{last}")).to_have_count(0)
    chip.click()
    expect(page.locator(f"#L{last}")).to_be_in_viewport()
    expect(chip).to_be_hidden()


def test_scrolling_up_pauses_and_scrolling_down_follows(open_page, log):
    log(*(f"line {n}" for n in range(200)))
    page = open_page("/apps/shop-dev/logs/")
    button = page.locator("[data-log-follow]")
    page.locator(".log").evaluate("log => { log.scrollTop = 0 }")
    expect(button).to_have_text("Paused")
    page.locator(".log").evaluate("log => { log.scrollTop = log.scrollHeight }")
    expect(button).to_have_text("Following")


def test_a_link_leads_to_a_line_however_old(open_page, log):
    last = log(*(f"line {n}" for n in range(1000)))
    page = open_page(f"/apps/shop-dev/logs/#L{last - 700}")
    expect(page.locator(f"#L{last - 700}.is-target")).to_be_in_viewport()
    expect(page.locator("[data-log-follow]")).to_have_text("Paused")


@pytest.mark.promise("I-44")
def test_both_ways_of_drawing_a_line_agree_and_neither_lets_markup_through(open_page, log):
    texts = [
        '<img src=x onerror="window.pwned=1">',
        "\x1b[1;31mbad\x1b[0m and \x1b[2mdim\x1b[22m \x1b[38;5;4mblue\x1b[39m \x1b[90mgrey\x1b[m",
        "see https://example.com/a?b=1&c=2. or javascript:window.pwned=1",
        "\x1b]8;;javascript:window.pwned=1\x07link\x1b]8;;\x07 \x1b[2J\x1b[Hmoved",
        "ERROR it broke",
    ]
    first = log(*texts) - len(texts) + 1
    page = open_page("/apps/shop-dev/logs/")
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    again = log(*texts) - len(texts) + 1
    expect(page.locator(f"#L{again + len(texts) - 1}")).to_be_visible()
    drawn = [
        [page.locator(f"#L{start + i} > span").inner_html() for i in range(len(texts))]
        for start in (first, again)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0][1] == (
        '<span class="a-red a-bold">bad</span> and <span class="a-dim">dim</span> '
        '<span class="a-blue">blue</span> <span class="a-grey">grey</span>'
    )
    assert page.locator(f"#L{again + 2} > span a[href]").count() == 1
    assert page.locator(f"#L{again + 4}.is-error").count() == 1
    assert page.evaluate("window.pwned") is None
    assert page.complaints == []


def test_the_page_catches_up_after_the_socket_was_lost(open_page, log):
    page = open_page("/apps/shop-dev/logs/")
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    page.context.set_offline(True)
    last = log("while away")
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(f"#L{last}")).to_be_in_viewport()
    assert page.locator(f"#L{last}").count() == 1


def test_a_line_s_time_links_to_a_page_around_it(open_page, log, site):
    last = log(*(f"numbered {n}" for n in range(600)))
    page = open_page(f"/apps/shop-dev/logs/?line={last - 300}")
    target = page.locator(f"#L{last - 300}.is-target")
    expect(target).to_be_in_viewport()
    expect(page.locator(f"#L{last - 310}")).to_be_in_viewport()
    page.locator(f"#L{last - 295} .log__at").click()
    page.wait_for_url(f"{site}/apps/shop-dev/logs/?line={last - 295}#L{last - 295}")
    expect(page.locator(f"#L{last - 295}.is-target")).to_be_in_viewport()
    page.get_by_role("link", name="Latest lines").click()
    expect(page.locator(f"#L{last}")).to_be_in_viewport()
    assert page.complaints == []


def test_filters_narrow_at_once_and_go_on_to_hold(open_page, log):
    log("noise before", "a needle before")
    page = open_page("/apps/shop-dev/logs/")
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    page.locator("#q").fill("NEEDLE -before")
    expect(page.locator(".log__none")).to_contain_text("No line matches")
    last = log("noise after", "a needle after")
    expect(page.locator(f"#L{last}")).to_be_in_viewport()
    expect(page.locator(".log__line")).to_have_count(1)
    expect(page.locator(".log__none")).to_have_count(0)
    page.locator(".chip", has_text="App").click()
    expect(page.locator(".log__line")).to_have_count(0)
    assert "source=router" in page.url and "source=app" not in page.url
    assert page.complaints == []


def test_bars_lead_to_their_lines(open_page, log):
    log(*(f"counted {n}" for n in range(10)))
    page = open_page("/apps/shop-dev/logs/")
    bar = page.locator(".histogram a").last
    expect(bar).to_be_attached()
    page.goto(page.url + bar.get_attribute("href").partition("/logs/")[2])
    expect(page.locator(".is-target")).to_be_in_viewport()
    expect(page.locator(".brush")).to_be_attached()
    assert page.complaints == []


def test_a_paused_log_says_since_when(open_page, log):
    log("one")
    page = open_page("/apps/shop-dev/logs/")
    badge = page.locator("[data-log-paused]")
    expect(badge).to_be_hidden()
    page.locator("[data-log-follow]").click()
    expect(badge).to_have_text(re.compile(r"Paused at \d\d:\d\d:\d\d"))
    page.locator("[data-log-follow]").click()
    expect(badge).to_be_hidden()
