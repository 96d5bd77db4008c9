"""Lean style sheets and scripts: fewer bytes, the same meaning."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings

from core import assets
from core.assets import lean


@pytest.mark.parametrize(
    "written, served",
    [
        ("/* a note */\na  >  b,\nc { color: red; margin: 0 1px; }\n", "a>b,c{color:red;margin:0 1px}"),
        ('a::before { content: "{ ;  /* kept */ "; }', 'a::before{content:"{ ;  /* kept */ "}'),
        ("nav a :hover { inline-size: calc(1px + 2px); }", "nav a :hover{inline-size:calc(1px + 2px)}"),
        (
            "@media (max-width: 48rem) { a { b: url(a;b.svg); } }",
            "@media (max-width:48rem){a{b:url(a;b.svg)}}",
        ),
        (
            "a { b: oklch(0.5 0.25 10.05 / 0.5); margin: 0 0.5px; }",
            "a{b:oklch(.5 .25 10.05 / .5);margin:0 .5px}",
        ),
        (":root:not(:hover) > a:is(b, c) {}", ":root:not(:hover)>a:is(b,c){}"),
    ],
)
def test_a_style_sheet_keeps_its_meaning(written, served):
    assert lean(written, ".css") == served


def test_a_script_loses_comments_and_indentation_only():
    written = "// why\nif (a) {\n    b(); // and so\n}\n\n"
    assert lean(written, ".js") == "if (a) {\nb(); // and so\n}\n"


def test_no_rule_of_ours_gets_lost():
    for path in Path(settings.BASE_DIR, "static/css").rglob("*.css"):
        text = path.read_text()
        assert lean(text, ".css").count("{") == text.count("{"), path
        assert len(lean(text, ".css")) < len(text)


@pytest.mark.parametrize("address", ["css/tokens.css", "js/live.js", "django_htmx/htmx-2.min.js"])
def test_they_are_served_and_gzipped_for_who_asks(client, address):
    plain = client.get(f"/static/{address}", headers={"Accept-Encoding": "identity"})
    packed = client.get(f"/static/{address}", headers={"Accept-Encoding": "gzip"})
    plain_bytes, packed_bytes = (b"".join(answer.streaming_content) for answer in (plain, packed))
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed_bytes) == plain_bytes
    assert len(packed_bytes) < len(plain_bytes) < 60_000


def test_writers_whose_process_ids_are_the_same_do_not_meet(tmp_path):
    """As in two containers over one folder."""
    place, text = tmp_path / "x.css", b"a{}" * 100_000
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: assets._write(place, text), range(64)))
    assert [file.name for file in tmp_path.iterdir()] == ["x.css"] and place.read_bytes() == text
