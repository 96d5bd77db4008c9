"""The inbox of a mailer add-on, and the mails in it: shown, searched, kept as files, deleted, and never run."""

from email import message_from_bytes

import pytest
from django.utils.html import escape
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from addons.models import Addon, Mail
from core.models import Event
from pipelines.models import Stage
from tests.factories import make_addon
from tests.mailing import HOSTILE, a_mail, a_rich_mail, receive

HERE = "/apps/shop-staging/addons/outbox/mails/"


@pytest.fixture
def app(shop):
    return shop.couplings.get(app__name="shop-staging").app


@pytest.fixture
def inbox(app):
    addon = make_addon(app, "mailer:inbox", name="outbox", as_="MAILER")
    return Addon.objects.whole().get(pk=addon.pk)


@pytest.fixture
def as_bob(client, bob):
    client.force_login(bob)
    return client


def test_an_empty_inbox_says_how_to_send_a_mail(inbox, as_bob):
    page = as_bob.get(HERE)
    assertContains(page, "No mail yet")
    assertContains(page, escape('curl -sS "$MAILER_URL"'))
    assertContains(page, "MAILER_SMTP_PASSWORD")
    assertNotContains(page, "value-of-outbox")
    assertContains(page, f"addon:{inbox.pk}")


def test_mails_are_listed_newest_first_and_found_by_people_and_subject(inbox, as_bob):
    for subject, to in (("Welcome", "ada@example.com"), ("Your order", "ines@example.com")):
        receive(inbox, a_mail(subject, to=to))
    text = as_bob.get(HERE).content.decode()
    assert text.index("Your order") < text.index("Welcome")
    assertContains(as_bob.get(HERE, {"q": "ADA"}), "Welcome")
    assertNotContains(as_bob.get(HERE, {"q": "ada order"}), "Your order<")
    assertContains(as_bob.get(HERE, {"q": "no\0body"}), "No mail is like that")
    part = as_bob.get(HERE, headers={"HX-Request": "true"})
    assertContains(part, "Welcome")
    assertNotContains(part, "<html")


def test_many_mails_are_paged(inbox, as_bob):
    Mail.objects.bulk_create(Mail(addon=inbox, subject=f"Number {n}", size=1, raw=b"x") for n in range(60))
    assertContains(as_bob.get(HERE), "1 to 50 of 60")
    assertContains(as_bob.get(HERE, {"page": "2", "q": "Number"}), "51 to 60 of 60")


def test_a_mail_is_shown_as_html_in_a_frame_as_text_and_with_its_headers(inbox, as_bob):
    mail = receive(inbox, a_rich_mail(HOSTILE))
    page = as_bob.get(f"{HERE}{mail.pk}/")
    assertContains(page, f'src="{HERE}{mail.pk}/html/"')
    assertContains(page, "sandbox referrerpolicy")
    assertContains(page, 'href="https://storefront.example/orders/10-4410?t=9c1f2ab"')
    assertContains(page, "Invoice 10-4410.pdf")
    assertNotContains(page, "taken over")
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    assertContains(as_bob.get(f"{HERE}{mail.pk}/?as=text"), "It is on its way")
    assertContains(
        as_bob.get(f"{HERE}{mail.pk}/?as=headers"), "Message" if mail.subject == "" else "MIME-Version"
    )
    assertContains(as_bob.get(f"{HERE}{mail.pk}/?as=nonsense"), "<iframe")


def test_html_of_a_mail_may_do_nothing(inbox, as_bob):
    mail = receive(inbox, a_rich_mail(HOSTILE))
    page = as_bob.get(f"{HERE}{mail.pk}/html/")
    assertContains(page, "data:image/png;base64,")
    assertContains(page, "taken over")
    policy = page.headers["Content-Security-Policy"]
    for rule in ("sandbox;", "default-src 'none'", "img-src data:;", "frame-ancestors 'self'"):
        assert rule in policy
    assert "allow" not in policy and "script-src" not in policy
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
    plain = receive(inbox, a_mail())
    assert as_bob.get(f"{HERE}{plain.pk}/html/").status_code == 404


def test_source_and_attachments_are_files_and_nothing_else(inbox, as_bob):
    mail = a_rich_mail()
    mail.add_attachment("<script>alert(1)</script>", subtype="html", filename='x".html')
    kept = receive(inbox, mail)
    source = as_bob.get(f"{HERE}{kept.pk}/source/")
    assert message_from_bytes(source.content)["Subject"] == kept.subject
    found = {}
    for number in (1, 2, 3):
        answer = as_bob.get(f"{HERE}{kept.pk}/attachments/{number}/")
        found[answer.headers["Content-Disposition"]] = answer.content
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert found['attachment; filename="Invoice 10-4410.pdf"'] == b"%PDF-1.4"
    assert all(where.startswith("attachment") for where in found)
    assert as_bob.get(f"{HERE}{kept.pk}/attachments/4/").status_code == 404


def test_hostile_words_are_shown_and_not_run(inbox, as_bob):
    mail = a_mail("<script>alert(1)</script>", to='"><img src=x onerror=alert(1)>@example.com')
    kept = receive(inbox, mail)
    for page in (
        as_bob.get(HERE),
        as_bob.get(f"{HERE}{kept.pk}/"),
        as_bob.get(f"{HERE}{kept.pk}/?as=headers"),
    ):
        assertContains(page, "&lt;script&gt;alert(1)")
        assertNotContains(page, "<script>alert")
        assertNotContains(page, "<img src=x")


def test_one_mail_is_deleted_and_then_all(inbox, as_bob, bob):
    first, *_ = (receive(inbox, a_mail(subject)) for subject in "abc")
    answer = as_bob.post(f"{HERE}{first.pk}/removal/")
    assertRedirects(answer, HERE, status_code=303, fetch_redirect_response=False)
    assert Mail.objects.count() == 2
    assert as_bob.get(f"{HERE}{first.pk}/").status_code == 404
    as_bob.post(f"{HERE}removal/")
    assert not Mail.objects.exists()
    assert {event.verb for event in Event.objects.filter(by=bob)} >= {
        "deleted a mail of",
        "emptied the inbox of",
    }
    assert "a" not in {event.label for event in Event.objects.all()}


def test_mails_of_another_inbox_are_not_there(inbox, app, as_bob):
    other = make_addon(app, "mailer:inbox", name="other", as_="OTHER")
    mail = receive(Addon.objects.whole().get(pk=other.pk), a_rich_mail())
    for rest in ("", "html/", "source/", "attachments/1/"):
        assert as_bob.get(f"{HERE}{mail.pk}/{rest}").status_code == 404
    assert as_bob.post(f"{HERE}{mail.pk}/removal/").status_code == 404
    assert Mail.objects.filter(pk=mail.pk).exists()


def test_only_who_may_see_what_apps_get_of_it_reads_mail(inbox, shop, client, bob, vera, charlie):
    mail = receive(inbox, a_rich_mail())
    for user, status in ((charlie, 404), (vera, 403), (bob, 200)):
        client.force_login(user)
        for rest in ("", f"{mail.pk}/", f"{mail.pk}/html/", f"{mail.pk}/source/"):
            assert client.get(HERE + rest).status_code == status, (user, rest)
    Stage.objects.filter(pipeline=shop, name="staging").update(readers="admins")
    assert client.get(HERE).status_code == 403
    assertNotContains(client.get("/apps/shop-staging/addons/outbox/"), "Open inbox")


def test_the_inbox_is_opened_from_the_add_on_and_from_the_list(inbox, as_bob, client, vera):
    for page in ("/apps/shop-staging/addons/outbox/", "/apps/shop-staging/resources/"):
        assertContains(as_bob.get(page), f'href="{HERE}"')
    assertRedirects(as_bob.get("/addons/outbox/"), HERE, status_code=303, fetch_redirect_response=False)
    client.force_login(vera)
    for page in ("/apps/shop-staging/addons/outbox/", "/apps/shop-staging/resources/"):
        assertNotContains(client.get(page), HERE)


def test_a_new_password_is_asked_for(inbox, as_bob):
    as_bob.post(f"{HERE}passwords/")
    inbox.refresh_from_db()
    assert inbox.tasks == [["credential", ""]]


def test_other_add_ons_have_no_inbox(app, as_bob):
    make_addon(app, "heroku-redis:mini", name="redis-x", as_="REDIS")
    assert as_bob.get("/apps/shop-staging/addons/redis-x/mails/").status_code == 404
