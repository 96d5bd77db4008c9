"""Log drains through the API: which there can be, for whom, and what is never shown."""

from urllib.parse import quote

import pytest

from apps import actions as app_actions
from apps.logs import store
from apps.models import LogDrain
from core.models import Event
from engine.spec import Line
from releases.rotation import _sealed
from tests.factories import make_app

URL = "https://logs.invalid/drain?app=shop"


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice)


def add(api, url=URL):
    answer = api.post("/apps/shop/log-drains", {"url": url})
    assert answer.status_code == 201, answer.json()
    return answer.json()


def path(ref):
    return f"/apps/shop/log-drains/{quote(ref, safe='')}"


def test_an_address_has_an_end(api, alice):
    make_app("shop", owner=alice)
    url = "https://logs.invalid/?" + "&key=" * 390  # as it is shown it is longer
    answer = api.post("/apps/shop/log-drains", {"url": url})
    assert answer.status_code == 422 and "too long" in answer.json()["message"]


def test_add_list_show_remove(api, app):
    made = add(api)
    assert made["url"] == URL and made["token"].startswith("d.") and made["addon"] is None
    assert made["app"] == {"id": str(app.pk), "name": "shop"}
    assert api.get("/apps/shop/log-drains?extended=true").json() == [made]
    for ref in (URL, made["token"], made["id"]):
        assert api.get(path(ref)).json() == made
    assert api.delete(path(URL)).json() == made
    assert api.get("/apps/shop/log-drains").json() == []
    gone = api.delete(path(URL))
    assert gone.status_code == 404 and gone.json()["resource"] == "log_drain"


def test_it_begins_with_what_comes_next(api, app):
    store().append(app.log_stream, [Line("app", "web.1", b"before", 1.0)])
    add(api)
    assert LogDrain.objects.get().position == store().last(app.log_stream)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:hush@logs.invalid/x", "https://me:****@logs.invalid/x"),
        ("https://hush@logs.invalid/x", "https://****@logs.invalid/x"),
        ("https://logs.invalid/x?dd-api-key=hush&host=a", "https://logs.invalid/x?dd-api-key=****&host=a"),
        ("syslog+tls://logs.invalid:6514?token=hush", "syslog+tls://logs.invalid:6514?token=****"),
    ],
)
@pytest.mark.promise("I-39")
def test_credentials_are_never_shown(api, app, url, shown):
    made = add(api, url)
    assert made["url"] == shown
    row = LogDrain.objects.get()
    assert row.url == url and "hush" not in str(row.__dict__)
    assert "hush" not in str(list(Event.objects.values())) and "hush" not in str(row)
    assert b"hush" not in api.get("/apps/shop/log-drains").content
    assert any(found == row for found, _, _ in _sealed())  # a new key seals it too
    assert api.delete(path(shown if "token" in url else url)).status_code == 200


@pytest.mark.promise("I-41")
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://logs.invalid/", "http:// or syslog+tls:// or syslog"),
        ("logs.invalid:514", "https://"),
        ("syslog://127.0.0.1:514", "internal address"),
        ("syslog+tls://[::1]:6514", "internal address"),
        ("http://me:hush@169.254.169.254/", "internal address"),
        ("syslog://93.184.215.14:25", "Only ports 514"),
        ("syslog://me:pass@93.184.215.14:514", "out of the URL"),
        ("https://93.184.215.14:8443/", "ports 80 and 443"),
        ("https://logs.invalid/ä", "ASCII"),
        ("https://logs.invalid/\r\nX: y", "not a URL"),
        ("https://[logs.invalid/", "not a URL"),
        ("", "https://"),
    ],
)
def test_where_no_log_can_go(api, app, url, says):
    answer = api.post("/apps/shop/log-drains", {"url": url})
    assert answer.status_code == 422 and says in answer.json()["message"], answer.json()
    assert "hush" not in answer.json()["message"]


def test_five_drains_each_once(api, app):
    for number in range(5):
        add(api, f"https://logs.invalid/{number}")
    again = api.post("/apps/shop/log-drains", {"url": "https://logs.invalid/1"})
    assert again.status_code == 422 and "already" in again.json()["message"]
    more = api.post("/apps/shop/log-drains", {"url": "https://logs.invalid/6"})
    assert more.status_code == 422 and "5 log drains" in more.json()["message"]


def test_who_may(api, app, alice, bob, as_bob, as_charlie):
    made = add(api)
    assert as_charlie.get("/apps/shop/log-drains").status_code == 404
    app_actions.share(app, bob, ["view", "deploy"], by=alice)
    assert as_bob.get("/apps/shop/log-drains").status_code == 403
    assert as_bob.post("/apps/shop/log-drains", {"url": URL}).status_code == 403
    assert as_bob.delete(path(made["token"])).status_code == 403
    app_actions.share(app, bob, ["operate"], by=alice)
    assert as_bob.get(path(made["token"])).json() == made
    make_app("other", owner=bob)
    assert as_bob.delete(f"/apps/other/log-drains/{made['token']}").status_code == 404
