"""Certificates that come by themselves, from an authority of our own."""

import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.utils import timezone

from apps import acm
from apps.models import AuthorityAccount, Certificate, CertificateOrder, Domain
from core.errors import Refusal
from tests.conftest import eventually
from tests.engine.pebble import Pebble
from tests.factories import make_app


@pytest.fixture
def door(stage):
    """Answers as the router would that knows what the conductor said to it."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self):
            host = self.headers["Host"].partition(":")[0]
            token = self.path.rpartition("/")[2]
            found = [r.challenges.get(token) for r in stage.router.routes.values() if host in r.hosts]
            self.send_response(200 if found and found[0] else 404)
            self.end_headers()
            self.wfile.write((found[0] if found and found[0] else "").encode())

        def log_message(self, *words):
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def authority(door, tmp_path, settings, monkeypatch):
    running = Pebble(tmp_path, door)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running.trust))
    settings.ACME_URL = running.url
    yield running
    running.stop()


def test_a_domain_gets_its_certificate_and_keeps_it_fresh(alice, stage, authority):
    app = make_app("shop", owner=alice)
    domain = app.domains.create(hostname="www.example.com")
    stage.start()
    acm.enable(app, by=alice)
    certificate = eventually(lambda: Certificate.objects.first(), 30)
    assert certificate.automatic and certificate.cert_domains == ["www.example.com"]
    route = eventually(lambda: (r := stage.router.routes[str(app.pk)]) and not r.challenges and r)
    assert "BEGIN CERTIFICATE" in route.certificates["www.example.com"].chain
    domain.refresh_from_db()
    assert (domain.acm_status, domain.acm_reason, domain.challenge) == (acm.ISSUED, "", {})

    chain = certificate.chain
    Certificate.objects.update(expires_at=timezone.now() + timedelta(days=acm.RENEW_DAYS - 1))
    acm.order_due()
    eventually(lambda: Certificate.objects.get().chain != chain, 30)
    certificate = Certificate.objects.get()
    assert certificate.expires_at > timezone.now() + timedelta(days=acm.RENEW_DAYS)
    assert not CertificateOrder.objects.exclude(sealed_key="").exists()
    assert AuthorityAccount.objects.count() == 1


def test_why_it_does_not_come_is_told(alice, stage, authority, door):
    app = make_app("shop", owner=alice)
    domain = app.domains.create(hostname="nobody.example")
    stage.start()
    eventually(lambda: str(app.pk) in stage.router.routes)
    real = stage.router.put
    stage.router.put = lambda route: None  # the world sends visitors elsewhere
    try:
        acm.enable(app, by=alice)
        eventually(lambda: Domain.objects.get(pk=domain.pk).acm_status == acm.FAILING, 30)
    finally:
        stage.router.put = real
    domain.refresh_from_db()
    assert "404" in domain.acm_reason and domain.acm_failures == 1
    acm.order_due()  # not at once
    assert CertificateOrder.objects.count() == 1
    acm.refresh(app, by=alice)
    eventually(lambda: Domain.objects.get(pk=domain.pk).acm_status == acm.ISSUED, 30)


def test_a_name_with_a_star_says_what_to_do(alice, db, settings):
    settings.ACME_URL = "https://authority.example/dir"
    app = make_app("shop", owner=alice)
    domain = app.domains.create(hostname="*.example.com")
    acm.enable(app, by=alice)
    domain.refresh_from_db()
    assert domain.acm_status == acm.FAILED and "star" in domain.acm_reason
    acm.disable(app, by=alice)
    domain.refresh_from_db()
    assert (app.acm, domain.acm_status) == (False, "")


def test_without_an_authority_it_is_refused(alice, db):
    with pytest.raises(Refusal, match="certs:add"):
        acm.enable(make_app("shop", owner=alice), by=alice)
