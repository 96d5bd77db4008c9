"""What the Heroku CLI is told to trust."""

import pytest

from config.tls import instance_certificate


@pytest.mark.parametrize(
    ("url", "certificate", "ours"),
    [
        ("http://localhost:8000", "", True),
        ("https://localhost", "", True),  # no public authority vouches for it
        ("https://paas.localhost:8443", "", True),
        ("https://localhost", "/etc/ssl/mine.pem", False),
        ("https://localhost.paas.example.org", "", False),
    ],
)
def test_our_own_authority_is_trusted_where_no_other_can_vouch(settings, url, certificate, ours):
    settings.URL, settings.TLS_CERTIFICATE = url, certificate
    found = instance_certificate()
    assert (found is not None) == ours
    assert not ours or found.read_text().startswith("-----BEGIN CERTIFICATE-----")
