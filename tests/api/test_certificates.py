"""SNI endpoints: an app's certificates, the domains that answer with them, and automatic ones."""

import logging

import pytest

from apps.models import Certificate, Domain
from core.models import Event
from tests.api.contract import check
from tests.certificates import MIDDLE, leaf
from tests.factories import make_app


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice)


def pair(*names):
    """What a client sends for a new certificate."""
    made = leaf(*names)
    return {"certificate_chain": made.chain, "private_key": made.key_pem}


@pytest.fixture
def add(api, app):
    return lambda *names: api.post("/apps/shop/sni-endpoints", pair(*names)).json()


def test_one_is_added_and_told(api, app):
    body = pair("www.example.com", "example.com")
    answer = api.post("/apps/shop/sni-endpoints", body)
    assert answer.status_code == 201
    made = answer.json()
    assert check("POST", "/apps/shop/sni-endpoints", 201, made) == "sni-endpoint"
    assert made["ssl_cert"]["cert_domains"] == ["www.example.com", "example.com"]
    assert made["ssl_cert"]["ca_signed?"] is False and made["ssl_cert"]["self_signed?"] is False
    assert made["ssl_cert"]["issuer"] == "/CN=Test intermediate"
    assert made["certificate_chain"] == body["certificate_chain"]
    assert made["domains"] == [] and made["display_name"] is None
    assert api.get("/apps/shop/sni-endpoints").json() == [made]
    for ref in (made["name"], made["id"]):
        assert api.get(f"/apps/shop/sni-endpoints/{ref}").json() == made


def test_a_domain_answers_with_it_at_once_or_when_chosen(api, add):
    one = add("*.example.com")
    domain = api.post("/apps/shop/domains", {"hostname": "www.example.com", "sni_endpoint": None}).json()
    assert domain["sni_endpoint"] == {"id": one["id"], "name": one["name"]}
    two = add("www.example.com")
    assert api.get("/apps/shop/domains/www.example.com").json()["sni_endpoint"]["id"] == one["id"]
    changed = api.patch("/apps/shop/domains/www.example.com", {"sni_endpoint": two["name"]}).json()
    assert changed["sni_endpoint"]["id"] == two["id"]
    assert api.get(f"/apps/shop/sni-endpoints/{two['id']}").json()["domains"] == [domain["id"]]
    assert (
        api.patch("/apps/shop/domains/www.example.com", {"sni_endpoint": None}).json()["sni_endpoint"] is None
    )
    assert api.patch("/apps/shop/domains/www.example.com", {}).status_code == 422


def test_a_domain_is_added_with_the_certificate_that_is_named(api, add):
    one, _ = add("www.example.com"), add("www.example.com")
    body = {"hostname": "www.example.com", "sni_endpoint": one["name"]}
    assert api.post("/apps/shop/domains", body).json()["sni_endpoint"]["id"] == one["id"]
    listed = api.get("/apps/shop/domains").json()
    assert [row["sni_endpoint"] for row in listed] == [None, {"id": one["id"], "name": one["name"]}]


def test_one_that_does_not_fit_or_is_not_there_is_refused(api, add):
    one = add("www.other.com")
    answer = api.post("/apps/shop/domains", {"hostname": "www.example.com", "sni_endpoint": one["name"]})
    assert answer.status_code == 422 and "is not for www.example.com" in answer.json()["message"]
    answer = api.post("/apps/shop/domains", {"hostname": "www.example.com", "sni_endpoint": "nope-1"})
    assert (answer.status_code, answer.json()["resource"]) == (404, "sni_endpoint")
    assert not Domain.objects.exists()
    assert api.get("/apps/shop/sni-endpoints/nope-1").json()["resource"] == "sni_endpoint"


def test_it_is_replaced_in_place(api, add):
    one = add("www.example.com")
    api.post("/apps/shop/domains", {"hostname": "www.example.com"})
    changed = api.patch(f"/apps/shop/sni-endpoints/{one['name']}", pair("www.example.com", "new.example.com"))
    assert changed.status_code == 200
    assert (changed.json()["id"], changed.json()["name"]) == (one["id"], one["name"])
    assert changed.json()["ssl_cert"]["cert_domains"] == ["www.example.com", "new.example.com"]
    refused = api.patch(f"/apps/shop/sni-endpoints/{one['name']}", pair("new.example.com"))
    assert refused.status_code == 422 and "www.example.com answers with" in refused.json()["message"]


def test_it_is_removed(api, add):
    one = add("www.example.com")
    api.post("/apps/shop/domains", {"hostname": "www.example.com"})
    assert api.delete(f"/apps/shop/sni-endpoints/{one['name']}").json()["id"] == one["id"]
    assert api.get("/apps/shop/sni-endpoints").json() == []
    assert api.get("/apps/shop/domains/www.example.com").json()["sni_endpoint"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"certificate_chain": "x"},
        {"certificate_chain": "x", "private_key": "y"},
        {"certificate_chain": leaf().chain, "private_key": leaf().key_pem},
        {"certificate_chain": MIDDLE.pem, "private_key": MIDDLE.key_pem},
        {"certificate_chain": 5, "private_key": ["y"]},
        {"certificate_chain": "x" * 100_000, "private_key": "y"},
        [],
    ],
)
def test_what_is_no_certificate_is_refused(api, app, body):
    answer = api.post("/apps/shop/sni-endpoints", body)
    assert 400 <= answer.status_code < 500
    assert not Certificate.objects.exists()


@pytest.mark.promise("I-37")
def test_the_key_is_in_no_answer_log_or_event(api, app, caplog):
    caplog.set_level(logging.DEBUG)
    body = pair("www.example.com")
    middle = body["private_key"].splitlines()[1]
    answers = [api.post("/apps/shop/sni-endpoints", body)]
    name = answers[0].json()["name"]
    answers += [
        api.get("/apps/shop/sni-endpoints"),
        api.patch(f"/apps/shop/sni-endpoints/{name}", body),
        api.post("/apps/shop/sni-endpoints", {**body, "certificate_chain": leaf().chain}),
        api.post("/apps/shop/sni-endpoints", {**body, "certificate_chain": None}),
        api.post("/apps/shop/sni-endpoints", {**body, "private_key": [body["private_key"]]}),
        api.post("/apps/shop/sni-endpoints", [body]),
        api.delete(f"/apps/shop/sni-endpoints/{name}"),
    ]
    said = "".join(answer.text for answer in answers) + caplog.text + str(list(Event.objects.values()))
    assert middle not in said and "PRIVATE KEY-----\\n" not in said


def test_rights(as_bob, as_vera, as_charlie, shop, alice):
    paths = ["/apps/shop-staging/sni-endpoints", "/apps/shop-staging/acm"]
    assert as_vera.get(paths[0]).json() == []
    assert as_charlie.get(paths[0]).status_code == 404
    for path in paths:
        assert as_charlie.post(path, pair()).status_code == 404
        assert as_vera.post(path, pair()).status_code == 403


def test_automatic_certificates_say_what_to_do_instead(api, app):
    for call in (api.post, api.patch):
        answer = call("/apps/shop/acm", {})
        assert answer.status_code == 422 and "heroku certs:add" in answer.json()["message"]
    assert api.delete("/apps/shop/acm").json()["acm"] is False
    assert api.get("/apps/shop").json()["acm"] is False


def test_a_wildcard_domain(api, app, add):
    assert api.post("/apps/shop/domains", {"hostname": "*.Example.com"}).json()["hostname"] == "*.example.com"
    one = add("*.example.com")
    path = "/apps/shop/domains/*.example.com"
    assert api.get(path).json()["sni_endpoint"]["id"] == one["id"]
    assert api.delete(path).status_code == 200


def test_a_list_takes_no_query_a_row(api, add, django_assert_max_num_queries):
    for number in range(6):
        add(f"www{number}.example.com")
        api.post("/apps/shop/domains", {"hostname": f"www{number}.example.com"})
    with django_assert_max_num_queries(8):
        api.get("/apps/shop/sni-endpoints")
    with django_assert_max_num_queries(8):
        api.get("/apps/shop/domains")
