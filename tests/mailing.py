"""Mail as apps send it, and as nobody should."""

from email.message import EmailMessage

import pytest

from addons import mails
from addons.models import Addon
from addons.providers import embedded
from engine.servers.mailer import Sent
from tests.factories import make_addon

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
ORDER = """<html><body style="font-family: sans-serif; background: #f4f6f8; padding: 24px">
<table style="background: #fff; max-width: 520px; margin: auto; padding: 24px; border-radius: 8px"><tr><td>
<img src="cid:logo" alt="" width="24" height="24"> <strong>Storefront</strong>
<h1 style="font-size: 20px">Thank you, Ines</h1>
<p>Your order 10-4410 is on its way. It should be with you on Thursday.</p>
<p><a href="https://storefront.example/orders/10-4410?t=9c1f2ab" style="background: #0a6; color: #fff; padding: 8px 16px;
text-decoration: none; border-radius: 6px">Follow your order</a></p>
</td></tr></table></body></html>"""

HOSTILE = ORDER.replace(
    "</body>",
    """<a href="https://storefront.example/elsewhere" target="_top">Leave</a><img src="http://tracker.invalid/open.gif" alt="">
<form action="http://tracker.invalid/"><input name="password"><button>Sign in</button></form>
<script>parent.document.title = document.body.innerHTML = "taken over"</script></body>""",
)


@pytest.fixture
def no_mailer(settings):
    """Dynos in containers, and a conductor that can't listen where they would look for the mailer."""
    settings.ENGINE_URL = "swarm+unix:///nowhere"
    keeper = embedded.servers().keeper
    keeper.tell_why("mailer", "No mail can be taken: 192.0.2.1 is no address of the machine.")
    yield
    keeper.tell_why("mailer", "")


def a_mail(subject: str = "Your order", to: str = "ines@example.com") -> EmailMessage:
    """A mail in plain text."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Storefront <shop@storefront.example>", to, subject
    mail.set_content("Thank you. It is on its way:\n\nhttps://storefront.example/orders/10-4410\n")
    return mail


def a_rich_mail(html: str = ORDER) -> EmailMessage:
    """The same with HTML, a picture inside, and a file."""
    mail = a_mail("Your order 10-4410 is on its way")
    mail["Date"] = "Thu, 26 Nov 2026 09:14:00 +0000"
    mail.add_alternative(html, subtype="html")
    mail.get_payload()[1].add_related(PIXEL, "image", "png", cid="<logo>")
    mail.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="Invoice 10-4410.pdf")
    return mail


def receive(addon: Addon, mail: EmailMessage):
    """Have it come into the inbox of `addon`."""
    return mails.receive(addon, Sent("shop@storefront.example", [mail["To"]], mail.as_bytes()))


def seed(app, other) -> dict[str, object]:
    """An inbox with mails for `app`, an empty one for `other`."""
    addon = make_addon(app, "mailer:inbox", name="mailer-graceful-20417", as_="MAILER")
    quiet = make_addon(other, "mailer:inbox", name="mailer-quiet-58110", as_="MAILER")
    addon = Addon.objects.whole().get(pk=addon.pk)
    for number, subject in enumerate(("Reset your password", "Your receipt", "", "Your weekly summary" * 12)):
        receive(addon, a_mail(subject, to=f"customer-{number}@example.com"))
    last = receive(addon, a_rich_mail())
    return {"mailer": addon.name, "mail": last.pk, "quiet": quiet.name, "quiet_app": other.name}
