"""Ranges and bodies as nobody should write them: a clean answer to each, and every page of a list exactly once."""

import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from releases.models import Release
from tests.factories import make_app, make_release

FEW = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ROWS = 7
blanks = st.sampled_from(["", " ", "  "])
# Things that a JSON document may hold, and that no field of ours expects.
odd = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20),
    st.sampled_from(["\0", "a\0b", "\ud800", "x" * 70_000, "../../etc", "%00", "<b>", "' OR 1=1 --", "\u202e", "~"]),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
)  # fmt: skip


@pytest.fixture(autouse=True)
def many_calls(settings):
    settings.API_CALLS_PER_HOUR = 1_000_000


@pytest.fixture
def app(alice):
    app = make_app("shop", owner=alice)
    for _ in range(ROWS):
        make_release(app, by=alice)
    return app


def send(api, method, path, data, content_type="application/json"):
    """What the API answers to these bytes."""
    headers = {"Authorization": f"Bearer {api.token}", "Accept": "application/vnd.heroku+json; version=3"}
    return api.client.generic(method, path, data, content_type=content_type, headers=headers)


def refused(answer, *statuses):
    """Whether this is a clean refusal."""
    body = answer.json()
    assert answer.status_code in (statuses or range(400, 500)), body
    assert set(body) >= {"id", "message", "url"} and body["message"]
    assert answer.headers["Request-Id"] and answer.headers["RateLimit-Remaining"]
    return True


def walk(api, path, first):
    """All rows, page by page, and how many each page had."""
    rows, sizes, text = [], [], first
    while text is not None:
        answer = api.get(path, Range=text)
        rows += answer.json()
        sizes.append(len(answer.json()))
        text = answer.headers.get("Next-Range")
        assert answer.status_code == (206 if text else 200)
        assert len(sizes) < 50, "it never ends"
    return rows, sizes


# --- ranges -----------------------------------------------------------------------------------------------------------


@FEW
@given(
    field=st.sampled_from(["version", "id", "created_at"]),
    size=st.integers(1, ROWS + 2),
    order=st.sampled_from(["asc", "desc", ""]),
    turned=st.booleans(),
    between=st.sampled_from([",", ";", ", ", "; ", " ,"]),
    gap=blanks,
    end=st.sampled_from(["", ";", "; ", " "]),
)
def test_pages_join_to_the_list_however_the_range_is_written(
    api, app, field, size, order, turned, between, gap, end
):
    parts = [f"max={size}", *([f"order={order}"] if order else [])]
    first = f"{field} ..;{gap}{between.join(reversed(parts) if turned else parts)}{end}"
    rows, sizes = walk(api, "/apps/shop/releases", first)
    down = order == "desc"
    sign = "-" if down else ""
    wanted = Release.objects.filter(app=app).order_by(f"{sign}{field}", f"{sign}pk")
    assert [row["id"] for row in rows] == [str(release.pk) for release in wanted]
    assert all(number == size for number in sizes[:-1]) and sizes[-1] <= size


@pytest.mark.parametrize("size", range(1, ROWS + 1))
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_rows_made_in_the_same_moment_come_once_each(api, app, size, order):
    Release.objects.filter(app=app).update(created_at=datetime(2026, 1, 1, 12, tzinfo=UTC))
    rows, _ = walk(api, "/apps/shop/releases", f"created_at ..; max={size}, order={order}")
    ids = [row["id"] for row in rows]
    assert ids == sorted(ids, reverse=order == "desc") and len(set(ids)) == ROWS


@FEW
@given(
    text=st.one_of(
        st.text(st.characters(codec="latin-1"), max_size=40),
        st.from_regex(r"\A(version|id|created_at|name|nothing) \]?[\w~.:;,=-]{0,30}\.\.[ ;,=\w]{0,20}\Z"),
        st.sampled_from([
            "", " ", ";", "..", "]..", "version ]..", "version ..;", "version ..; max=0", "version ..; max=-1",
            "version ..; max=99999999999999999999", f"version {10**30}..", "version 1~..", "version 1~~..", "id ~..",
            "version ..; order=sideways", "created_at yesterday..", "created_at 9999999-01-01..", "bytes=0-5", "x" * 9000,
            "version 1" + ".1" * 200 + "..", "version ٣..", "version \0..",
        ]),
    )
)  # fmt: skip
def test_a_hostile_range_is_ignored_or_refused(api, app, text):
    answer = api.get("/apps/shop/releases", Range=text)
    assert answer.status_code in (200, 206) or refused(answer, 416)


@FEW
@given(size=st.integers(-5, 10**12))
def test_a_page_is_never_larger_than_allowed(api, app, size):
    answer = api.get("/apps/shop/releases", Range=f"version ..; max={size}")
    assert answer.status_code in (200, 206)
    assert 1 <= len(answer.json()) <= 1000


# --- bodies -----------------------------------------------------------------------------------------------------------

CALLS = [
    ("POST", "/apps", "name"), ("PATCH", "/apps/shop", "name"), ("PATCH", "/apps/shop", "maintenance"),
    ("PATCH", "/apps/shop/config-vars", "KEY"), ("POST", "/apps/shop/domains", "hostname"),
    ("PATCH", "/apps/shop/formation", "updates"), ("PATCH", "/apps/shop/formation/web", "quantity"),
    ("POST", "/apps/shop/dynos", "command"), ("POST", "/apps/shop/releases", "release"),
    ("POST", "/apps/shop/builds", "source_blob"), ("PUT", "/apps/shop/buildpack-installations", "updates"),
    ("POST", "/apps/shop/collaborators", "user"), ("POST", "/pipelines", "name"), ("POST", "/pipeline-couplings", "app"),
    ("POST", "/pipeline-promotions", "targets"), ("POST", "/apps/shop/log-sessions", "lines"),
    ("POST", "/oauth/authorizations", "expires_in"), ("POST", "/filters/apps", "in"), ("PATCH", "/account", "name"),
    ("POST", "/account/app-transfers", "recipient"), ("POST", "/apps/shop/addons", "plan"),
    ("POST", "/actions/addons/resolve", "addon"), ("PATCH", "/apps/shop/features/preboot", "enabled"),
]  # fmt: skip


@FEW
@given(call=st.sampled_from(CALLS), value=odd)
def test_no_value_of_a_field_breaks_a_call(api, app, call, value):
    method, path, field = call
    answer = send(api, method, path, json.dumps({field: value}))
    assert answer.status_code < 300 or refused(answer, 400, 403, 404, 409, 422), (call, value)


@pytest.mark.parametrize("body", [
    "{", "", "null", "[]", "[1]", "1", '"x"', "true", "NaN", '{"name": NaN}', '{"name": Infinity}', '{"name": -Infinity}',
    '{"name": "a", "name": "b"}', '{"name": "\\u0000"}', '{"name": "\\ud800"}', '{"name": "a\\udfffb"}', '{"na\\u0000me": 1}',
    '{"name": 1e999}', '{"name": ' + "9" * 30 + "}", '{"name": ' + "9" * 10_000 + "}", '{"name": "' + "x" * 1_000_000 + '"}',
    "[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000, "[" * 60 + "]" * 60, "name=shop", "<name>shop</name>", "\x00",
    b"\xff\xfe", b'{"name": "\xed\xa0\x80"}', b"\xef\xbb\xbf{}", '{"name": {"name": "x"}}', '{"name": ["x"]}', '{"name": true}',
])  # fmt: skip
@pytest.mark.parametrize("call", ["POST /apps", "POST /pipelines", "PATCH /apps/shop/config-vars"])
def test_what_is_no_body_is_refused(api, app, call, body):
    method, path = call.split()
    answer = send(api, method, path, body)
    if call == "POST /apps" and body in ("", "null"):  # which asks for any name
        return
    assert refused(answer, 400, 422), body[:40]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_a_form_is_no_body(api, app, kind):
    assert refused(send(api, "POST", "/pipelines", "name=other", content_type=kind), 400)


@FEW
@given(
    name=st.one_of(
        st.text(max_size=30), st.sampled_from(["%00", "%2F", "..%2F..", "%ff", "%ed%a0%80", "*", "~", "%25"])
    )
)
def test_no_name_in_a_path_breaks_a_call(api, app, name):
    part = name if "%" in name and name.isascii() else quote(name.encode("utf-8", "replace"), safe="")
    for path in (f"/apps/{part}", f"/apps/shop/releases/{part}", f"/apps/shop/dynos/{part}", f"/pipelines/{part}",
                 f"/pipelines?eq[name]={part}", f"/apps/shop/domains/{part}", f"/teams/{part}", f"/users/{part}"):  # fmt: skip
        answer = api.get(path)
        assert answer.status_code in (200, 301) or refused(answer, 404), path
