"""The mailer of a Docker engine, by mail that apps in containers send: who gets in, where mail lands, who is told what."""

import json
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from django.test import Client as Browser

from addons.models import Addon, Mail
from addons.orders import order_of
from addons.providers import provider_for
from engine.drivers.swarm import network
from engine.drivers.swarm.client import Client
from engine.servers.mailer import STRANGERS
from tests.databases import lives, services  # noqa: F401
from tests.factories import make_addon, make_app, make_user
from tests.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
APP = """
import json, os, smtplib
from email.message import EmailMessage
mail = EmailMessage()
mail["From"], mail["To"], mail["Subject"] = "shop@example.com", "ines@example.com", os.environ["SUBJECT"]
mail.set_content("It is on its way.")
said = {}
for user, password in json.loads(os.environ["TRIES"]):
    with smtplib.SMTP(os.environ["MAILER_SMTP_HOST"], int(os.environ["MAILER_SMTP_PORT"]), timeout=10) as smtp:
        try:
            smtp.login(user, password)
        except smtplib.SMTPAuthenticationError as refused:
            said[user + " " + password] = refused.smtp_code
            continue
        said[user + " " + password] = 235
        smtp.send_message(mail)
print(json.dumps(said))
"""


@pytest.fixture
def inbox(transactional_db, lives, services):  # noqa: F811
    """An add-on that is provisioned, on an engine where dynos have a network."""
    network.make(Client(lives.engine.url), lives.instance, "127.0.0.1")
    addon = make_addon(
        make_app("shop", owner=make_user("alice@example.com")), "mailer:inbox", name="outbox", as_="MAILER"
    )
    yield provisioned(addon)
    services.stop()


def provisioned(addon):
    addon = Addon.objects.whole().get(pk=addon.pk)
    addon.secret = addon.pk.hex  # others have others
    addon.config = {"": dict(provider_for(addon.service.name).provision(order_of(addon)).config)}
    addon.save()
    return addon


def send(lives, addon, *tries, subject="Your order"):  # noqa: F811
    """What an app in a container is answered, which sends a mail to its own mailer as each of `tries`."""
    variables = {f"MAILER_{name}": value for name, value in addon.config[""].items()}
    said = lives.engine.client.containers.run(
        lives.engine.stack,
        ["python3", "-c", APP],
        environment=variables | {"SUBJECT": subject, "TRIES": json.dumps(tries)},
        network=network.name(lives.instance),
        user="40001",
        cap_drop=["ALL"],
        remove=True,
        stderr=True,
    )
    return list(json.loads(said.decode()).values())


def key(addon):
    config = addon.config[""]
    return config["SMTP_USER"], config["SMTP_PASSWORD"]


def test_an_app_in_a_container_sends_a_mail_that_its_inbox_shows(lives, inbox):  # noqa: F811
    host = inbox.config[""]["SMTP_HOST"]
    assert not host.startswith("127."), "which dynos do not reach"
    assert urlsplit(inbox.config[""]["URL"]).hostname == host
    assert send(lives, inbox, key(inbox), subject="Your order 10-4410") == [235]
    browser = Browser()
    browser.force_login(inbox.app.owner)
    page = browser.get("/apps/shop/addons/outbox/mails/").content.decode()
    assert "Your order 10-4410" in page
    assert (
        "It is on its way."
        in browser.get(f"/apps/shop/addons/outbox/mails/{Mail.objects.get().pk}/").content.decode()
    )


def test_nobody_gets_in_by_what_is_not_this_inbox_s(lives, inbox):  # noqa: F811
    other = provisioned(make_addon(inbox.app, "mailer:inbox", name="other", as_="OTHER"))
    store = provisioned(make_addon(inbox.app, "heroku-redis:mini", name="store", as_="REDIS"))
    of_store = urlsplit(store.config[""]["URL"]).password
    user, password = key(inbox)
    tries = [
        (user, "not-the-password"), (user, key(other)[1]), (key(other)[0], password), (user, of_store),
        (store.pk.hex, of_store), (store.pk.hex, password), key(other),
    ]  # fmt: skip
    try:
        assert send(lives, inbox, *tries) == [535] * 6 + [235]
        assert [mail.addon_id for mail in Mail.objects.all()] == [other.pk]
        assert Mail.objects.get().addon.name == "other"
    finally:
        provider_for("heroku-redis").deprovision(order_of(store))


def test_one_container_cannot_keep_the_others_out(lives, inbox):  # noqa: F811
    config = inbox.config[""]
    place = config["SMTP_HOST"], int(config["SMTP_PORT"])
    with ExitStack() as stack:
        mine = [stack.enter_context(socket.create_connection(place, 10)) for _ in range(STRANGERS + 1)]
        assert [one.recv(3) for one in mine] == [b"220"] * STRANGERS + [b"421"]
        assert send(lives, inbox, key(inbox)) == [235]


def test_mail_comes_in_again_after_the_platform_was_away(lives, inbox, services):  # noqa: F811
    services.stop()
    assert services.mailer.seen() == []
    following = lives.next()
    following.start()
    try:
        eventually(lambda: following.processes()[-1]["state"] == "up")
        assert send(lives, inbox, key(inbox)) == [235]
        assert Mail.objects.count() == 1
    finally:
        following.stop()


def test_the_port_is_nobody_else_s(lives, inbox, services):  # noqa: F811
    services.keeper.ports = [int(inbox.config[""]["SMTP_PORT"])]
    with pytest.raises(Exception, match="No port"):
        services.keeper._port("valkey", "new")


def test_a_conductor_elsewhere_makes_it_unavailable_and_says_why(lives, services):  # noqa: F811
    assert provider_for("mailer").why_not() == ""
    services.keeper._address = "192.0.2.1"
    services._see_to()
    told = provider_for("mailer").why_not()
    assert told.startswith(
        "No mail can be taken: 192.0.2.1 is no address of the machine that the conductor is on"
    )
    assert told.endswith("(docs/addons.md).")
    services.keeper._address = ""
    services._see_to()
    assert provider_for("mailer").why_not() == ""
