"""Certificates that come by themselves, as the settings of an app show them."""

from apps import acm
from tests.factories import make_app


def test_it_is_turned_on_and_off(client, alice, settings):
    settings.ACME_URL = "https://authority.example/dir"
    client.force_login(alice)
    app = make_app("shop", owner=alice)
    domain = app.domains.create(hostname="www.example.com")
    assert "Get them automatically" in client.get("/apps/shop/settings/").content.decode()
    client.post("/apps/shop/certificates/automatic/")
    page = client.get("/apps/shop/settings/").content.decode()
    assert "A certificate is being got for it" in page and "Get them automatically" not in page
    type(domain).objects.update(acm_status=acm.FAILING, acm_reason="<b>404</b>")
    assert (
        "No certificate came for it: &lt;b&gt;404&lt;/b&gt;"
        in client.get("/apps/shop/settings/").content.decode()
    )
    client.post("/apps/shop/certificates/automatic/removal/")
    app.refresh_from_db()
    assert not app.acm


def test_it_is_not_offered_where_there_is_no_authority(client, alice):
    client.force_login(alice)
    make_app("shop", owner=alice)
    assert "Get them automatically" not in client.get("/apps/shop/settings/").content.decode()
    answer = client.post("/apps/shop/certificates/automatic/", follow=True)
    assert "heroku certs:add" in answer.content.decode()
