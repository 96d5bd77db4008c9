"""Certificates on an app's Settings page: which one a domain answers with, added, replaced, removed."""

import datetime
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from pytest_django.asserts import assertRedirects

from apps import actions, certificates
from apps.models import App, Certificate
from tests.certificates import issue, leaf

HTMX = {"HX-Request": "true"}
SETTINGS = "/apps/shop-staging/settings/"
NEW = "/apps/shop-staging/certificates/new/"
BACK = f"{SETTINGS}#domains"


@pytest.fixture
def app(shop, alice, client):
    client.force_login(alice)
    return App.objects.get(name="shop-staging")


@pytest.fixture
def add(app, alice):
    """Adds a certificate for some names."""

    def make(*names, **more):
        made = leaf(*names, **more)
        return certificates.add_certificate(app, made.chain, made.key_pem, by=alice)

    return make


def pair(*names):
    """What is typed into the form."""
    made = leaf(*names)
    return {"certificate_chain": made.chain, "private_key": made.key_pem}


def test_it_is_added_and_the_domain_answers_with_it(app, alice, client):
    actions.add_domain(app, "www.example.com", by=alice)
    assert "No certificate of its own" in client.get(SETTINGS).text
    answer = client.post(NEW, pair("www.example.com"))
    assertRedirects(answer, BACK, status_code=303, fetch_redirect_response=False)
    page = client.get(SETTINGS).text
    certificate = Certificate.objects.get()
    assert f"{certificate.name} answers for www.example.com" in page
    assert "No certificate of its own" not in page
    assert f"Until {certificate.expires_at:%-d %B %Y}" in page


def test_files_do_as_well(app, client):
    made = leaf()
    files = {
        "certificate_chain_file": SimpleUploadedFile("server.crt", made.chain.encode()),
        "private_key_file": SimpleUploadedFile("server.key", made.key_pem.encode()),
    }
    assert client.post(NEW, {"certificate_chain": "", "private_key": "", **files}).status_code == 303
    assert Certificate.objects.get().chain == made.chain


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_was_wrong_is_said_and_the_key_not_shown_again(app, client, headers):
    made, other = leaf(), leaf()
    body = {"certificate_chain": made.chain, "private_key": other.key_pem}
    answer = client.post(NEW, body, headers=headers)
    assert answer.status_code == 422
    assert "This is not the certificate" in answer.text
    assert made.pem.splitlines()[1] in answer.text
    assert other.key_pem.splitlines()[1] not in answer.text
    assert not Certificate.objects.exists()


def test_a_file_that_is_no_text_is_told(app, client):
    files = {"certificate_chain_file": SimpleUploadedFile("server.crt", b"\0\xff" * 100_000)}
    answer = client.post(NEW, {"private_key": "", **files})
    assert answer.status_code == 422 and not Certificate.objects.exists()


def test_it_is_replaced(app, add, alice, client):
    one = add("www.example.com")
    actions.add_domain(app, "www.example.com", by=alice)
    path = f"/apps/shop-staging/certificates/{one.pk}/"
    assert "/CN=Test intermediate" in client.get(path).text
    assert "www.example.com answers with" in client.post(path, pair("www.other.com")).text
    answer = client.post(path, pair("www.example.com", "example.com"), headers=HTMX)
    assert answer.headers["HX-Redirect"] == BACK
    one.refresh_from_db()
    assert one.cert_domains == ["www.example.com", "example.com"]


def test_it_is_removed(app, add, client):
    one = add("www.example.com")
    answer = client.post(f"/apps/shop-staging/certificates/{one.pk}/removal/")
    assertRedirects(answer, BACK, status_code=303, fetch_redirect_response=False)
    assert not Certificate.objects.exists()


def test_it_is_chosen_for_a_domain_or_none_is(app, add, alice, client):
    one, two = add("www.example.com"), add("www.example.com")
    other = add("www.other.com")
    domain = actions.add_domain(app, "www.example.com", by=alice)
    offered = set(re.findall(r'<option value="([\w-]+)"', client.get(SETTINGS).text))
    assert {one.name, two.name} <= offered and other.name not in offered
    path = f"/apps/shop-staging/domains/{domain.pk}/certificate/"
    for name, chosen in ((two.name, two), ("", None)):
        assertRedirects(
            client.post(path, {"certificate": name}), BACK, status_code=303, fetch_redirect_response=False
        )
        domain.refresh_from_db()
        assert domain.certificate == chosen
    assert client.post(path, {"certificate": "nope"}).status_code == 404
    assert client.post(path, {"certificate": other.name}, headers=HTMX).status_code == 422


@pytest.mark.parametrize(
    ("days", "text"),
    [(-1, "Expired on"), (0.5, "Expires today"), (1.5, "Expires in 1 day,"), (20.5, "Expires in 20 days")],
)
def test_an_end_that_is_near_is_said_on_top(app, add, alice, client, days, text):
    one = add("www.example.com")
    actions.add_domain(app, "www.example.com", by=alice)
    assert "callout--warn" not in client.get(SETTINGS).text
    Certificate.objects.update(expires_at=timezone.now() + datetime.timedelta(days=days))
    page = client.get(SETTINGS).text
    assert "callout--warn" in page and text in page and one.name in page


def test_a_viewer_sees_the_end_but_no_forms(app, add, alice, vera, client):
    one = add("www.example.com")
    actions.add_domain(app, "www.example.com", by=alice)
    client.force_login(vera)
    page = client.get(SETTINGS).text
    assert one.name in page and "Until" in page
    assert NEW not in page and f"/certificates/{one.pk}/" not in page


def test_strangers_find_none_and_others_lack_the_right(app, add, bob, charlie, client):
    one = add("www.example.com")
    paths = [NEW, f"/apps/shop-staging/certificates/{one.pk}/"]
    for user, status in ((bob, 403), (charlie, 404)):
        client.force_login(user)
        assert [client.get(path).status_code for path in paths] == [status] * 2
        assert [client.post(path, pair()).status_code for path in paths] == [status] * 2


def test_another_apps_certificate_is_not_there(app, add, client):
    one = add("www.example.com")
    for path in ("", "removal/"):
        answer = client.post(f"/apps/shop-production/certificates/{one.pk}/{path}", pair())
        assert answer.status_code == 404
    assert Certificate.objects.count() == 1


def test_hostile_names_are_shown_and_never_run(app, alice, client):
    made = leaf(issuer=issue("<script>alert(1)</script>", ca=True))
    one = certificates.add_certificate(app, made.pem, made.key_pem, by=alice)
    for path in (SETTINGS, f"/apps/shop-staging/certificates/{one.pk}/"):
        assert "<script>alert" not in client.get(path).text
    assert "&lt;script&gt;alert(1)" in client.get(f"/apps/shop-staging/certificates/{one.pk}/").text
