"""What all endpoints share."""

import base64

import pytest
from django.test import Client
from django.urls import reverse

from accounts import actions
from accounts.models import ApiToken
from tests.factories import make_app, make_release


def test_nobody_gets_401_with_an_error_body(db):
    answer = Client().get("/account", headers={"Accept": "application/vnd.heroku+json; version=3"})
    assert answer.status_code == 401
    assert answer.json()["id"] == "unauthorized"
    assert "Basic" in answer.headers["WWW-Authenticate"]


@pytest.mark.promise("I-32")
def test_a_token_in_the_address_is_not_taken(alice, api):
    answer = Client().get(
        f"/account?token={api.token}", headers={"Accept": "application/vnd.heroku+json; version=3"}
    )
    assert answer.status_code == 401


def test_a_token_works_as_bearer_and_as_basic_password(alice, api):
    basic = base64.b64encode(f"anyone:{api.token}".encode()).decode()
    for header in (f"Bearer {api.token}", f"Basic {basic}"):
        assert api.get("/account", Authorization=header).json()["email"] == "alice@example.com"


@pytest.mark.promise("I-31")
def test_a_revoked_token_and_a_suspended_account_end_at_once(alice, api):
    assert api.get("/account").status_code == 200
    actions.suspend(alice, by=None)
    assert api.get("/account").status_code == 401
    actions.reinstate(alice, by=None)
    actions.revoke_token(ApiToken.objects.get(), by=alice)
    assert api.get("/account").status_code == 401


def test_addresses_are_the_pages_again_after_a_call(api):
    """A thread serves calls and pages in turn."""
    api.get("/account")
    assert reverse("pipelines") == "/"


def test_versions(api):
    assert api.get("/account", Accept="application/vnd.heroku+json; version=3.sdk").status_code == 200
    answer = api.get("/apps", Accept="application/vnd.heroku+json; version=2")
    assert (answer.status_code, answer.json()["id"]) == (406, "not_acceptable")


def test_every_answer_has_an_id_and_the_allowance_left(api):
    answer = api.get("/account")
    assert answer.headers["Request-Id"]
    assert answer.headers["RateLimit-Remaining"] == "4499"
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_the_allowance_ends(api, settings):
    settings.API_CALLS_PER_HOUR = 2
    assert [api.get("/account").status_code for _ in range(3)] == [200, 200, 429]


def test_only_who_asks_gets_a_304(api):
    first = api.get("/account")
    assert api.get("/account").status_code == 200
    assert api.get("/account", **{"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_unknown_paths_bad_json_and_bad_fields(api):
    assert api.get("/nothing/here").json()["id"] == "not_found"
    assert "no private spaces" in api.post("/spaces", {}).json()["message"]
    assert api("POST", "/pipelines", body=[1]).status_code == 422
    broken = api.client.generic(
        "POST",
        "/apps",
        "{",
        content_type="application/json",
        headers={"Authorization": f"Bearer {api.token}"},
    )
    assert (broken.status_code, broken.json()["id"]) == (400, "bad_request")
    assert "name" in api.post("/pipelines", {}).json()["message"]


@pytest.mark.parametrize(
    "text", ["version ..; max=2, order=desc", "version ..; order=desc,max=2;", "version..;max=2; order=desc"]
)
def test_ranges_page_by_page(api, alice, text):
    app = make_app("shop", owner=alice)
    for _ in range(5):
        make_release(app, by=alice)
    seen, range_ = [], text
    while range_:
        answer = api.get("/apps/shop/releases", Range=range_)
        seen += [release["version"] for release in answer.json()]
        range_ = answer.headers.get("Next-Range")
        assert answer.status_code == (206 if range_ else 200)
    assert seen == [5, 4, 3, 2, 1]


def test_a_range_with_an_end(api, alice):
    for letter in "abcde":
        make_app(f"app-{letter}", owner=alice)

    def names(text):
        answer = api.get("/apps", Range=text)
        return [app["name"][-1] for app in answer.json()], answer.headers.get("Next-Range")

    assert names("name app-b..app-d;") == (["b", "c", "d"], None)
    assert names("name ]app-b..app-d; max=1") == (["c"], "name ]app-c..app-d; max=1, order=asc")
    assert names("name ]app-c..app-d; max=1, order=asc") == (["d"], None)
    assert names("name app-d..app-b; order=desc,max=5") == (["d", "c", "b"], None)
    assert api.get("/apps", Range="id ..x; max=1").status_code == 416


def test_an_address_without_a_valid_id_leads_nowhere(api, alice):
    make_app("shop", owner=alice)
    for path in ("/apps/shop/webhook-deliveries/nope", "/apps/shop/builds/nope"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()["id"]) == (404, "not_found"), path


def test_a_range_that_makes_no_sense(api, alice):
    make_app("shop", owner=alice, released=True)
    assert api.get("/apps/shop/releases", Range="version abc..; max=1").status_code == 416
    assert api.get("/apps/shop/releases", Range="").status_code == 200
    assert api.get("/apps", Range="id not-a-uuid..").status_code == 416


def test_other_methods_are_answered_as_well(api):
    head = api("HEAD", "/account")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"] == api.get("/account").headers["ETag"]
    asked = api("OPTIONS", "/account")
    assert (asked.status_code, asked.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, PATCH")
    refused = api.delete("/account")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, PATCH")
    assert refused.json()["id"] == "bad_request"
    assert refused.headers["Request-Id"]


def test_the_client_may_send_many_ids_and_gets_one(api):
    ids = ",".join(["0f0b5a52-8e1e-4f1a-9b39-1b3f1a7d3e0a"] * 190)
    assert len(ids) > 7000
    answer = api.get("/account", **{"Request-Id": ids})
    assert answer.status_code == 200
    assert "," not in answer.headers["Request-Id"]


def test_errors_carry_what_every_answer_carries(api):
    answer = api.get("/apps/none")
    assert answer.headers["RateLimit-Remaining"] == "4499"
    assert answer.headers["Request-Id"]


@pytest.mark.parametrize(
    "path", ["/apps/a%2Fb", "/apps/a%2Fb/releases", "/apps/%00", "/apps//releases", "/apps/shop/"]
)
def test_odd_paths_lead_nowhere(api, alice, path):
    make_app("shop", owner=alice)
    answer = api.get(path)
    assert (answer.status_code, answer.json()["id"]) == (404, "not_found")
