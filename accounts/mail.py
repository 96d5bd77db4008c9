"""Mails that nobody waits for: a mail server that is slow or away holds nothing up, and is told of in the log."""

import logging
import smtplib
import threading
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction

log = logging.getLogger(__name__)


def send_soon(to: str, subject: str, text: str) -> None:
    """Send a mail once the current transaction has committed; nothing happens where no mail server is set."""
    if settings.MAIL:
        mail = EmailMessage(subject, text, to=[to])
        transaction.on_commit(lambda: threading.Thread(target=_send, args=[mail], daemon=True).start())


def send(to: str, subject: str, text: str, *, id: str) -> None:
    """Send a mail now. The same `id`, sent again, makes the same Message-ID. What the mail server says against it, an
    `OSError` or `SMTPException`, is for the caller."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or settings.HOST
    headers = {"Message-ID": f"<{id}@{domain}>", "Auto-Submitted": "auto-generated"}
    EmailMessage(subject, text, to=[to], headers=headers).send()


def _send(mail: EmailMessage) -> None:
    try:
        mail.send()
    except (OSError, smtplib.SMTPException) as error:
        log.warning("The mail server did not take a mail: %s", error)
