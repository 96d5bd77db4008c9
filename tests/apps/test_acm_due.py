"""Which domains are ordered certificates for, of many."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps import acm
from apps.models import App, CertificateOrder, Domain
from tests.factories import make_app, make_user


@pytest.fixture
def app(db, settings):
    settings.ACME_URL = "https://authority.example/directory"
    app = make_app(owner=make_user())
    App.objects.filter(pk=app.pk).update(acm=True)
    return app


def ordered():
    return list(CertificateOrder.objects.values_list("domain__hostname", flat=True))


def test_domains_that_wait_after_failures_keep_no_other_waiting(app):
    now = timezone.now()
    Domain.objects.bulk_create(
        Domain(app=app, hostname=f"n{number}.example.com", acm_failures=9, acm_at=now)
        for number in range(120)
    )
    Domain.objects.create(app=app, hostname="new.example.com")
    acm.order_due()
    assert ordered() == ["new.example.com"]


@pytest.mark.parametrize(("failures", "minutes"), [(1, 2), (2, 10), (3, 60), (4, 360), (5, 1440), (30, 1440)])
def test_each_failure_makes_the_next_try_later(app, failures, minutes):
    at = timezone.now() - timedelta(minutes=minutes)
    Domain.objects.create(
        app=app, hostname="early.example.com", acm_failures=failures, acm_at=at + timedelta(seconds=30)
    )
    acm.order_due()
    assert ordered() == []
    Domain.objects.create(
        app=app, hostname="due.example.com", acm_failures=failures, acm_at=at - timedelta(seconds=1)
    )
    acm.order_due()
    assert ordered() == ["due.example.com"]


def test_a_name_with_a_star_is_told_of_once(app):
    star = Domain.objects.create(app=app, hostname="*.example.com")
    acm.order_due()
    star.refresh_from_db()
    told = star.acm_at
    assert star.acm_status == "failed" and told is not None
    acm.order_due()
    star.refresh_from_db()
    assert star.acm_at == told
    assert ordered() == []
