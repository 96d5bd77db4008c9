"""The partial that shows a log, as it is before any JavaScript."""

import time
import uuid

import pytest
from django.template import Context, Template

from apps import logs
from dashboard import ansi
from dashboard.log_lines import log_context
from engine.logstore import harmless
from engine.spec import Line


def stream(kind="app"):
    return f"{kind}/{uuid.uuid4()}"


def append(name, *texts, source="app", dyno="web.1"):
    logs.store().append(name, [Line(source, dyno, text.encode(), time.time()) for text in texts])


def drawn(name, **parameters):
    include = f'{{% include "logs/_log.html" with stream="{name}" {" ".join(f"{k}={v!r}" for k, v in parameters.items())} %}}'
    return Template(include).render(Context({}))


def test_a_build_s_lines_have_numbers_that_link_to_themselves():
    name = stream("build")
    append(name, "-----> Python", "done", dyno="build")
    page = drawn(name, label="Build log", polite=True, bar=True, raw="/raw")
    assert 'aria-live="polite" aria-label="Build log"' in page
    assert f'data-log="{name}" data-after="2" data-numbered>' in page
    assert '<div class="log__line" id="L1"><a class="log__no" href="#L1">1</a><time datetime="' in page
    assert "<span>-----&gt; Python</span>" in page
    assert "data-log-follow" in page and 'href="/raw"' in page


def test_an_app_s_lines_have_their_dyno_and_stand_out_when_they_are_errors():
    name = stream()
    append(name, "fine")
    append(name, "at=error code=H12 status=503", source="heroku", dyno="router")
    page = drawn(name, label="Logs")
    assert 'aria-live="off"' in page and "data-numbered" not in page
    assert '<a class="log__src a-grey" href="?dyno=router" title="Show only router">router</a>' in page
    assert 'class="log__line is-error" id="L2"' in page
    assert 'class="log__line" id="L1"' in page


def test_a_complete_stream_says_so():
    name = stream("release")
    append(name, "migrated")
    logs.store().end(name)
    assert "data-ended" in drawn(name, label="Release log")


def test_the_page_comes_with_the_last_200_lines():
    name = stream()
    append(name, *map(str, range(500)))
    context = log_context(name)
    assert [context["rows"][0].number, context["rows"][-1].number, context["after"]] == [301, 500, 500]


def test_lines_can_be_narrowed_down():
    name = stream()
    append(name, "GET /cart", "error: out of stock")
    append(name, "GET /cart", dyno="web.2")
    page = drawn(name, label="Logs", text="/cart", dyno="web.2")
    assert 'data-dyno="web.2" data-text="/cart"' in page
    assert 'id="L3"' in page and 'id="L1"' not in page
    assert [row.number for row in log_context(name, level="error")["rows"]] == [2]


@pytest.mark.promise("I-44")
def test_text_is_never_markup():
    name = stream()
    append(name, '<script>alert(1)</script> "&', "javascript:alert(1)", 'http://x.test/"onclick=alert(1)')
    page = drawn(name, label="Logs")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &quot;&amp;" in page
    assert 'href="javascript' not in page
    assert (
        '<a href="http://x.test/" rel="noopener noreferrer" target="_blank">http://x.test/</a>&quot;onclick'
        in page
    )


@pytest.mark.promise("I-44")
@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[31mred\x1b[0m", '<span class="a-red">red</span>'),
        (
            b"\x1b[1;92mgood\x1b[22m still\x1b[39m not",
            '<span class="a-green a-bold">good</span><span class="a-green"> still</span> not',
        ),
        (
            b"\x1b[38;5;4mblue \x1b[38;5;200mnone\x1b[48;5;1m ground",
            '<span class="a-blue">blue </span>none ground',
        ),
        (b"\x1b[38;2;1;2;3mtrue\x1b[90mgrey", 'true<span class="a-grey">grey</span>'),
        (b"\x1b[mplain\x1b[38m\x1b[99m", "plain"),
        (b"a\x1b]0;title\x07b\x1b]8;;javascript:x\x1b\\c", "abc"),
        (b"\x1b[2J\x1b[1;1Hgone\x1b[K\x08\x08\x7f", "gone"),
        (b" 10%\r 50%\r100%\r", "100%"),
        (b"\xff\xfe caf\xc3\xa9 \xe2\x80\xaexe", "\ufffd\ufffd café xe"),
        (b"tab\there", "tab\there"),
        (b"\x1b", ""),
        (
            b"see https://a.test/x?y=1&z=2.",
            'see <a href="https://a.test/x?y=1&amp;z=2" rel="noopener noreferrer" target="_blank">https://a.test/x?y=1&amp;z=2</a>.',
        ),
    ],
)
def test_colours_stay_and_nothing_else(raw, shown):
    assert ansi.html(harmless(raw)) == shown
