"""The mailer, by SMTP: what gets in, what does not, what is kept; and that nothing is believed that mail says."""

import smtplib
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from addons import letters, mails
from addons.models import Addon, Mail
from addons.orders import order_of
from addons.providers import embedded, provider_for
from addons.providers.passwords import ROTATED
from core.errors import EngineError
from engine.servers import Servers
from engine.servers.mailer import CONNECTIONS, CONNECTIONS_OF_ONE, MAIL_BYTES, RECIPIENTS, Mailer, Sent
from tests.factories import make_addon, make_app, make_user
from tests.waiting import eventually

PORTS = range(18900, 18990)


@pytest.fixture
def servers(tmp_path, monkeypatch):
    """The platform's servers, of which the mailer is started by the first order."""
    servers = Servers(tmp_path / "servers", ports=PORTS, post=mails.Inboxes())
    monkeypatch.setattr(embedded, "servers", lambda: servers)
    yield servers
    servers.stop()


@pytest.fixture
def inbox(transactional_db, servers):
    """An add-on that is provisioned."""
    addon = make_addon(make_app("shop", owner=make_user("alice@example.com")), "mailer:inbox", as_="MAILER")
    return provisioned(addon)


def provisioned(addon):
    addon = Addon.objects.whole().get(pk=addon.pk)
    addon.config = {"": dict(provider_for("mailer").provision(order_of(addon)).config)}
    addon.save()
    return addon


@contextmanager
def signed_in(addon):
    url = urlsplit(addon.config[""]["URL"])
    with smtplib.SMTP(url.hostname, url.port, timeout=10) as smtp:
        smtp.login(url.username, url.password)
        yield smtp


def a_mail(subject="Your order", **headers):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Shop <shop@example.com>", "ines@example.com", subject
    for name, value in headers.items():
        mail[name] = value
    mail.set_content("It is on its way.\n")
    return mail


def test_a_mail_is_kept_in_the_inbox_of_who_signed_in(inbox):
    other = provisioned(make_addon(inbox.app, "mailer:inbox", as_="OTHER"))
    with signed_in(inbox) as smtp:
        smtp.send_message(a_mail(), to_addrs=["ines@example.com", "jo@example.com"])
    mail = Mail.objects.get()
    assert (mail.addon_id, mail.sender) == (inbox.pk, "shop@example.com")
    assert mail.recipients == "ines@example.com, jo@example.com"
    assert (mail.author, mail.subject) == ("Shop <shop@example.com>", "Your order")
    assert letters.read(mail.raw).text == "It is on its way.\n"
    assert not Mail.objects.filter(addon=other).exists()


def test_config_vars_are_those_that_apps_read(inbox):
    config = inbox.config[""]
    url = urlsplit(config["URL"])
    for host, user in (("SMTP_HOST", "SMTP_USER"), ("SMTP_SERVER", "SMTP_LOGIN")):
        assert (config[host], config["SMTP_PORT"]) == (url.hostname, str(url.port))
        assert (config[user], config["SMTP_PASSWORD"]) == (url.username, url.password)
    assert sorted(config) == sorted(inbox.service.config)
    assert provider_for("mailer").provision(order_of(inbox)).config == config
    assert config["SMTP_PASSWORD"] not in repr(provider_for("mailer").provision(order_of(inbox)))


def test_both_ways_to_sign_in_ask_for_the_right_password(inbox):
    config = inbox.config[""]
    for how in ("LOGIN", "PLAIN"):
        with smtplib.SMTP("127.0.0.1", int(config["SMTP_PORT"]), timeout=10) as smtp:
            smtp.ehlo()
            smtp.user, smtp.password = config["SMTP_USER"], "not-the-password"
            answer = getattr(smtp, f"auth_{how.lower()}")
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                smtp.auth(how, answer)
            assert refused.value.smtp_code == 535
            smtp.password = config["SMTP_PASSWORD"]
            assert smtp.auth(how, answer)[0] == 235


def test_nobody_else_gets_in(inbox):
    config = inbox.config[""]
    with smtplib.SMTP("127.0.0.1", int(config["SMTP_PORT"]), timeout=10) as smtp:
        for user in ("", "somebody", "0" * 32, inbox.name):
            with pytest.raises(smtplib.SMTPAuthenticationError):
                smtp.login(user, config["SMTP_PASSWORD"])
        assert smtp.docmd("MAIL", "FROM:<a@example.com>")[0] == 530
        assert smtp.docmd("RCPT", "TO:<a@example.com>")[0] == 503
        assert smtp.docmd("DATA")[0] == 503
    assert not Mail.objects.exists()


def test_a_new_password_voids_the_old_one(inbox):
    Addon.objects.filter(pk=inbox.pk).update(options={ROTATED: "1"})
    with pytest.raises(smtplib.SMTPAuthenticationError), signed_in(inbox):
        pass
    order = replace(order_of(inbox), options={ROTATED: "1"})
    inbox.config = {"": dict(provider_for("mailer").credential(order, "").config)}
    with signed_in(inbox) as smtp:
        assert smtp.noop()[0] == 250


def test_an_add_on_that_goes_takes_no_more(inbox):
    with signed_in(inbox) as smtp:
        Addon.objects.filter(pk=inbox.pk).update(state="deprovisioning")
        with pytest.raises(smtplib.SMTPDataError) as refused:
            smtp.send_message(a_mail())
        assert refused.value.smtp_code == 550
    with pytest.raises(smtplib.SMTPAuthenticationError), signed_in(inbox):
        pass


def test_a_mail_that_is_too_large_is_refused_and_the_next_one_kept(inbox):
    big = b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 78 + b"\r\n") * (MAIL_BYTES // 80)
    with signed_in(inbox) as smtp:
        with pytest.raises(smtplib.SMTPResponseException) as said_before:
            smtp.sendmail("a@example.com", ["b@example.com"], big, [f"size={len(big)}"])
        assert said_before.value.smtp_code == 552
        smtp.docmd("MAIL", "FROM:<a@example.com>")  # without a size, it is found out
        smtp.rcpt("b@example.com")
        assert smtp.data(big)[0] == 552
        smtp.send_message(a_mail("small"))
    assert [mail.subject for mail in Mail.objects.all()] == ["small"]


def test_recipients_and_connections_are_limited(inbox):
    many = [f"p{number}@example.com" for number in range(RECIPIENTS + 1)]
    with signed_in(inbox) as smtp:
        assert list(smtp.send_message(a_mail(), to_addrs=many)) == many[-1:]
        config = inbox.config[""]
        more = [smtplib.SMTP("127.0.0.1", int(config["SMTP_PORT"])) for _ in range(CONNECTIONS_OF_ONE)]
        for one in more[:-1]:
            one.login(config["SMTP_USER"], config["SMTP_PASSWORD"])
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            more[-1].login(config["SMTP_USER"], config["SMTP_PASSWORD"])
        assert refused.value.smtp_code == 421
        for one in more:
            one.close()


def test_who_comes_when_all_connections_are_taken_is_told_so(inbox):
    port = int(inbox.config[""]["SMTP_PORT"])
    with ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            for _ in range(CONNECTIONS + 1)
        ]
        answers = [one.recv(3) for one in held]
    assert answers == [b"220"] * CONNECTIONS + [b"421"]


def test_nul_and_odd_charsets_are_kept_as_they_came_and_shown_as_far_as_they_go(inbox):
    raw = (
        b"Subject: =?x-none?b?zz?= caf\xc3\xa9 \x00 =?utf-8?q?=E2=9C=93?=\r\n"
        b'From: "\x00 Ada" <ada@example.com>\r\n'
        b"Content-Type: text/plain; charset=x-none\r\n\r\nna\xc3\xafve\x00 \xff\r\n"
    )
    with signed_in(inbox) as smtp:
        smtp.sendmail("ada@example.com", ["b@example.com"], raw)
    mail = Mail.objects.get()
    assert bytes(mail.raw) == raw
    assert "\0" not in mail.subject + mail.author
    assert "caf\u00e9" in mail.subject
    assert letters.read(mail.raw).text == "na\u00efve \ufffd\n"


def test_an_envelope_of_odd_bytes_is_kept_without_what_no_row_can_hold(inbox):
    with signed_in(inbox) as smtp:
        for line in (b"MAIL FROM:<\xe9\x00x@example.com>", b"RCPT TO:<\xff\x00y@example.com>"):
            smtp.send(line + b"\r\n")
            code, said = smtp.getreply()
            assert code in (250, 501, 553), said
        smtp.rset()
        smtp.sendmail("<>", ["b@example.com"], b"Subject: bounce\r\n\r\n")
    assert [mail.subject for mail in Mail.objects.all()] == ["bounce"]


def test_the_oldest_go_when_there_are_too_many(inbox):
    plan = inbox.plan
    plan.limits = {"messages": 3, "days": 7, "storage_mb": 1}
    plan.save()
    addon = Addon.objects.whole().get(pk=inbox.pk)
    for number in range(5):
        mails.receive(addon, Sent("a@example.com", ["b@example.com"], f"Subject: {number}\r\n\r\n".encode()))
    assert [mail.subject for mail in Mail.objects.all()] == ["4", "3", "2"]
    mails.receive(addon, Sent("a@example.com", [], b"Subject: large\r\n\r\n" + b"x" * 1024 * 1000))
    mails.receive(addon, Sent("a@example.com", [], b"Subject: larger\r\n\r\n" + b"x" * 1024 * 1000))
    assert [mail.subject for mail in Mail.objects.all()] == ["larger"]
    Mail.objects.update(received_at=timezone.now() - timedelta(days=8))
    mails.forget_old()
    assert not Mail.objects.exists()


def test_the_port_stays_and_the_server_comes_back(inbox, servers):
    servers.stop()
    assert servers.mailer.seen() == []
    servers.start()
    eventually(lambda: servers.mailer.seen()[0]["state"] == "up")
    with signed_in(inbox) as smtp:
        smtp.send_message(a_mail())
    assert Mail.objects.count() == 1


def test_apps_are_told_when_the_port_is_another(inbox, servers, tmp_path):
    mails.follow(servers.mailer)
    inbox.refresh_from_db()
    assert inbox.tasks == []
    elsewhere = Servers(tmp_path / "restored", ports=PORTS, post=mails.Inboxes())
    mails.follow(elsewhere.mailer)
    eventually(lambda: elsewhere.mailer.seen()[0]["state"] == "up")
    elsewhere.stop()
    inbox.refresh_from_db()
    assert (inbox.tasks, inbox.status) == ([["credential", ""]], "pending")


def test_it_listens_where_apps_are_told_and_for_a_while_where_they_were_told_before(
    transactional_db, tmp_path
):
    told = ["127.0.0.2"]
    mailer = Mailer(tmp_path, ports=PORTS, post=mails.Inboxes(), where=lambda: told[0])
    assert mailer.why_not() == ""
    first = mailer.ensure()
    assert first.host == "127.0.0.2"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", first.port), 10)
    told[0] = "127.0.0.3"
    assert mailer.ensure() == ("127.0.0.3", first.port)
    for host in ("127.0.0.2", "127.0.0.3"):
        with smtplib.SMTP(host, first.port, timeout=10) as smtp:
            assert smtp.noop()[0] == 250
    told[0] = "192.0.2.1"
    assert mailer.why_not().startswith("192.0.2.1 is no address of the machine")
    with pytest.raises(EngineError, match=f"can't listen on port {first.port} of 192.0.2.1: "):
        mailer.ensure(1)
    told[0] = "127.0.0.2"
    assert mailer.ensure() == first, "one that can't be had stands in nobody's way"
    mailer.stop()


def test_apps_are_told_when_the_address_is_another(inbox, servers, tmp_path):
    mailer = Mailer(tmp_path / "servers", ports=PORTS, post=mails.Inboxes(), where=lambda: "127.0.0.2")
    servers.stop()
    mails.follow(mailer)
    mailer.stop()
    inbox.refresh_from_db()
    assert (inbox.tasks, inbox.status) == ([["credential", ""]], "pending")


# --- taking mail apart ------------------------------------------------------------------------------------------------


def test_a_letter_is_taken_apart():
    mail = a_mail()
    mail.add_alternative(
        '<a href="https://shop.example/confirm?t=1">Confirm</a><a href="javascript:alert(1)">x</a>'
        '<img src="cid:logo">',
        subtype="html",
    )
    mail.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<logo>")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="../../invoice.pdf")
    mail.add_attachment(a_mail("inside"))
    letter = letters.read(mail.as_bytes())
    assert letter.header("subject") == "Your order"
    assert letters.links(letter) == ["https://shop.example/confirm?t=1"]
    assert "data:image/png;base64,iVBORw==" in letters.page(letter)
    names = [(piece.name, piece.content[:4]) for piece in letter.pieces]
    assert names[1] == (".._.._invoice.pdf", b"%PDF")
    assert b"Subject: inside" in letter.pieces[2].content


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"\x00\xff" * 50,
        b"To: " + b"a@b.c, " * 100_000,
        b"Content-Type: text/plain; " + b'a="b' * 100_000 + b"\r\n\r\nx",
        b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1000)
        ),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n\r\n" * 100_000,
        b"A: b\r\n" * 100_000,
        b"Content-Type: message/rfc822\r\n\r\n" * 5_000,
        b"Content-Type: text/plain; charset=idna\r\n\r\n" + b"xn--a" * 100_000,
        b"Content-Type: text/html\r\n\r\n" + b"<!-<![" * 100_000,
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
    ],
    ids=range(12),
)
@pytest.mark.timeout(5)
def test_hostile_mail_is_read_quickly_or_not_at_all(raw):
    letter = letters.read(raw)
    assert "\0" not in "".join(letters.headline(raw)) + (letter.text or "") + str(letter.headers)
    assert len(letters.links(letter)) == 0
    assert len(letter.pieces) <= letters.PARTS
