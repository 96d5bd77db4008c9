"""Text that rows can hold, wherever it came from: turned down when a person sends it, cleaned when a host does."""

import json

import pytest
from django.db import DataError, transaction

from apps.models import App
from ci import runs
from ci.models import State
from core import activity
from core.errors import BuildFailed, EngineError, Refusal, ReleaseFailed
from core.models import Event
from core.text import is_text, storable
from engine.builder.procfile import parse_app_json
from pipelines.models import Promotion
from releases.models import Build
from tests.ci.made import make_node, make_run
from tests.dashboard.test_promotions import form_of
from tests.factories import make_app, make_release

ODD, KEPT = "a\0b\ud800c", "ab?c"


@pytest.mark.parametrize("fine", ["", "é☃𝕏", "\ud7ff\ue000", "\n\t\x01", "\\u0000"])
def test_what_can_be_kept_stays_as_it_is(fine):
    assert is_text(fine) and storable(fine) == fine


def test_what_cannot_is_left_out_at_any_depth():
    assert storable({ODD: [ODD, {"x": (ODD, 1, None)}]}) == {KEPT: [KEPT, {"x": [KEPT, 1, None]}]}


@pytest.mark.django_db
def test_these_tests_would_see_it_go_wrong(alice):
    for details in ({"x": "\0"}, {"x": "\ud800"}):
        with pytest.raises(DataError), transaction.atomic():
            Event.objects.create(actor="x", through="x", verb="x", kind="x", details=details)


@pytest.mark.parametrize("kind", [Refusal, BuildFailed, ReleaseFailed, EngineError])
def test_the_words_of_a_fault_can_be_kept(kind):
    assert str(kind(ODD)) == KEPT


def test_a_row_of_work_takes_whatever_a_process_has_said(shop, alice):
    run = make_run(shop, by=alice, state="running")
    run.lease_token = "00000000-0000-4000-8000-000000000000"
    type(run).objects.filter(pk=run.pk).update(lease_token=run.lease_token)
    node = make_node(run, state="running", exit_code=None)
    runs.end_node(node, state=State.ERRORED, exit_code=None, reason=ODD, cases=[])
    run.next_step(app_json={"test": ODD}, warning=ODD)
    run.end("ended", state="errored", reason=ODD)
    run.refresh_from_db()
    assert (run.reason, run.warning, run.app_json, node.reason) == (KEPT, KEPT, {"test": KEPT}, KEPT)


def test_activity_takes_it_too(alice):
    app = make_app("shop", owner=alice)
    activity.record(alice, "tried", app, words=ODD, more=[ODD])
    assert Event.objects.get(verb="tried").details == {"words": KEPT, "more": [KEPT]}
    assert App.objects.exists() and not Build.objects.exists()


def test_an_app_json_is_read_without():
    found = parse_app_json(json.dumps({"scripts": {"test": ODD}, ODD: 1}).encode())
    assert found == {"scripts": {"test": KEPT}, KEPT: 1}


def test_no_page_has_such_an_address(alice, client):
    client.force_login(alice)
    for path in (
        "/apps/a%00b/",
        "/pipelines/%00/",
        "/pipelines/shop/apps/a%00/",
        "/a%00.git/info/refs",
        "/%00",
    ):
        assert client.get(path).status_code == 404, path
        assert (
            client.get(path, headers={"Accept": "application/vnd.heroku+json; version=3"}).status_code == 404
        )


def test_a_form_is_taken_without(shop, alice, client):
    client.force_login(alice)
    make_release(App.objects.get(name="shop-staging"), by=alice)
    page = client.get("/pipelines/shop/promotions/new/?from=shop-%00staging")
    wish = {**form_of(page), "from": "shop-staging\0", "to": ["\0shop-production"], "\0": "", "note": "a\0b"}
    assert client.post("/pipelines/shop/promotions/", wish).status_code in (302, 303)
    promotion = Promotion.objects.get()
    assert promotion.targets.get().app.name == "shop-production" and promotion.note == "ab"
    assert client.get("/pipelines/shop/activity/?by=a%00b&page=%00").status_code == 200


@pytest.mark.parametrize(
    "body", [b'{"description": "\\u0000"}', b'{"description": "\\ud800"}', b"[" * 100_000]
)
def test_a_cli_that_asks_with_it_is_told_so(db, client, body):
    answer = client.post(
        "/auth", body, content_type="application/json", headers={"Accept": "application/vnd.heroku+json"}
    )
    assert answer.status_code == 400 and answer.json()["id"] == "bad_request"
