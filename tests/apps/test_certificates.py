"""Certificates of an app: added, replaced, removed, chosen for a domain; their keys stay closed."""

import logging

import pytest

from apps import actions, certificates
from apps.models import App, Certificate, Domain
from conductor import wishes
from conductor.routes import route
from core import secrets
from core.errors import NotFound, Refusal
from core.models import Event
from core.secrets import Tampered
from releases import rotation
from tests.certificates import leaf
from tests.factories import make_app


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice)


@pytest.fixture
def add(app, alice):
    """Adds a certificate for some names."""

    def make(*names, to=app):
        made = leaf(*names)
        return certificates.add_certificate(to, made.chain, made.key_pem, by=alice)

    return make


def test_it_keeps_what_the_certificate_says(app, add, alice):
    certificate = Certificate.objects.get(pk=add("www.example.com", "example.com").pk)
    assert certificate.cert_domains == ["www.example.com", "example.com"]
    assert certificate.subject == "/CN=www.example.com"
    assert "PRIVATE KEY" in certificate.key
    event = Event.objects.get(kind="certificate")
    assert (event.verb, event.by, event.app_id) == ("added", alice, app.pk)


def test_a_domain_gets_the_only_one_that_covers_it(app, add, alice):
    domain = actions.add_domain(app, "www.example.com", by=alice)
    other = actions.add_domain(app, "www.other.com", by=alice)
    one = add("*.example.com")
    domain.refresh_from_db()
    other.refresh_from_db()
    assert (domain.certificate, other.certificate) == (one, None)
    assert actions.add_domain(app, "api.example.com", by=alice).certificate == one
    add("img.example.com")
    assert actions.add_domain(app, "img.example.com", by=alice).certificate is None  # two of them cover it


def test_a_chosen_one_stays_when_another_comes(app, add, alice):
    one = add("www.example.com")
    domain = actions.add_domain(app, "www.example.com", by=alice)
    two = add("www.example.com")
    domain.refresh_from_db()
    assert domain.certificate == one
    certificates.choose_certificate(domain, two, by=alice)
    domain.refresh_from_db()
    assert domain.certificate == two
    assert Event.objects.filter(verb="chose the certificate of").get().details["after"] == two.name


def test_one_that_does_not_cover_the_domain_is_not_chosen(app, add, alice):
    other = add("www.other.com")
    with pytest.raises(Refusal, match=r"is not for www\.example\.com, but for www\.other\.com"):
        actions.add_domain(app, "www.example.com", certificate=other, by=alice)
    assert not Domain.objects.exists()
    domain = actions.add_domain(app, "www.example.com", by=alice)
    with pytest.raises(Refusal, match="is not for"):
        certificates.choose_certificate(domain, other, by=alice)


def test_another_apps_certificate_is_not_there(app, add, alice):
    foreign = add("www.example.com", to=make_app("other", owner=alice))
    domain = actions.add_domain(app, "www.example.com", by=alice)
    with pytest.raises(NotFound):
        certificates.choose_certificate(domain, foreign, by=alice)
    with pytest.raises(NotFound):
        certificates.certificate_of(app, foreign.name)


def test_it_is_replaced_for_all_its_domains_or_not_at_all(app, add, alice):
    one = add("*.example.com")
    for name in ("www.example.com", "api.example.com"):
        actions.add_domain(app, name, by=alice)
    narrow, wide = leaf("www.example.com"), leaf("www.example.com", "api.example.com")
    before = Certificate.objects.values().get()
    with pytest.raises(Refusal, match=r"what api\.example\.com answers with"):
        certificates.update_certificate(one, narrow.chain, narrow.key_pem, by=alice)
    assert Certificate.objects.values().get() == before
    certificates.update_certificate(
        certificates.certificate_of(app, one.name), wide.chain, wide.key_pem, by=alice
    )
    one.refresh_from_db()
    assert one.chain == wide.chain and one.key == wide.key_pem
    assert one.domains.count() == 2


def test_removed_it_leaves_its_domains_without(app, add, alice):
    one = add("www.example.com")
    domain = actions.add_domain(app, "www.example.com", by=alice)
    certificates.remove_certificate(one, by=alice)
    domain.refresh_from_db()
    assert domain.certificate is None and not Certificate.objects.exists()


def test_their_number_is_bounded(app, add, monkeypatch):
    monkeypatch.setattr(certificates, "MAX_CERTIFICATES", 1)
    add("www.example.com")
    with pytest.raises(Refusal, match="1 certificates at most"):
        add("www.example.com")


def test_the_router_is_told_by_host_name(app, add, alice):
    add("www.example.com")
    actions.add_domain(app, "www.example.com", by=alice)
    actions.add_domain(app, "www.other.com", by=alice)
    told = route(wishes.view(app.pk), [], [])
    assert set(told.certificates) == {"www.example.com"}
    assert told.certificates["www.example.com"].key == Certificate.objects.get().key
    assert told.hosts >= {"www.example.com", "www.other.com"}


def test_a_key_that_does_not_open_leaves_the_app_reachable(app, add, alice, caplog):
    add("www.example.com")
    actions.add_domain(app, "www.example.com", by=alice)
    Certificate.objects.update(sealed_key=secrets.seal(b"x", to="elsewhere"))
    with caplog.at_level(logging.ERROR):
        told = route(wishes.view(app.pk), [], [])
    assert told.certificates == {} and "www.example.com" in told.hosts
    assert "is not shown" in caplog.text


@pytest.mark.promise("I-38")
def test_keys_move_to_a_new_key_and_belong_to_their_row(app, add, settings):
    one, two = add("www.example.com"), add("www.other.com")
    plain = one.key
    settings.SLIPWAY_KEYS = [secrets.new_key("k2"), *settings.SLIPWAY_KEYS]
    assert rotation.rotate() == 2
    assert rotation.keys_in_use() == {"k2"}
    settings.SLIPWAY_KEYS = settings.SLIPWAY_KEYS[:1]
    one.refresh_from_db()
    assert one.key == plain
    one.sealed_key = two.sealed_key
    with pytest.raises(Tampered):
        _ = one.key


@pytest.mark.promise("I-37")
def test_the_key_is_in_no_row_event_or_repr(app, add, alice):
    one = add("www.example.com")
    middle = one.key.splitlines()[1]
    actions.add_domain(app, "www.example.com", by=alice)
    told = route(wishes.view(app.pk), [], [])
    shown = [repr(one), str(vars(one)), repr(told), str(list(Event.objects.values()))]
    shown.append(str(list(Certificate.objects.values())))
    assert not any(middle in text for text in shown)


@pytest.mark.parametrize("name", ["localhost", "shop.localhost", "a.b.localhost", "*.localhost"])
def test_names_of_the_platform_are_not_given_away(app, alice, name):
    with pytest.raises(Refusal, match=r"platform's own|not a host name"):
        actions.add_domain(app, name, by=alice)


def test_names_below_a_public_apps_host_are_not_given_away(app, alice, settings):
    settings.APPS_HOST, settings.HOST = "apps.acme.com", "slipway.acme.com"
    for name in ("victim.apps.acme.com", "*.apps.acme.com", "apps.acme.com", "slipway.acme.com"):
        with pytest.raises(Refusal, match="platform's own"):
            actions.add_domain(app, name, by=alice)
    assert actions.add_domain(app, "www.acme.com", by=alice).hostname == "www.acme.com"


def test_a_wildcard_is_its_owners(app, alice, charlie):
    actions.add_domain(app, "*.example.com", by=alice)
    sibling = make_app("sibling", owner=alice)
    assert actions.add_domain(sibling, "www.example.com", by=alice)
    foreign = make_app("foreign", owner=charlie)
    with pytest.raises(Refusal, match="in use"):
        actions.add_domain(foreign, "api.example.com", by=charlie)
    actions.add_domain(foreign, "www.shop.com", by=charlie)
    with pytest.raises(Refusal, match="in use"):
        actions.add_domain(app, "*.shop.com", by=alice)
    assert actions.add_domain(app, "a.www.example.com", by=alice)


def test_they_go_with_the_app(app, add):
    add("www.example.com")
    App.objects.get(pk=app.pk).delete()
    assert not Certificate.objects.exists()
