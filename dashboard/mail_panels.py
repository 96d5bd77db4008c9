"""What the pages of a mailer add-on show: its inbox, and one mail."""

from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator

from accounts.models import User
from addons import catalog, letters, mails
from addons.mail_models import Mail
from addons.models import Addon, key_of
from apps.models import App
from dashboard import panels
from dashboard.database_panels import size_of

PER_PAGE = 50
TRY = (
    "printf 'Subject: Hello\\n\\nIt works.\\n' | "
    'curl -sS "${url}" --mail-from app@example.com --mail-rcpt you@example.com -T -'
)
WAYS = {"html": "HTML", "text": "Text", "headers": "Headers"}  # to look at a mail


def of_inbox(app: App, user: User, addon: Addon, *, words: str, page: str) -> dict[str, Any]:
    """The inbox, as it is seen from an app that owns or uses the add-on: mails that have all `words`."""
    shown = Paginator(mails.found(addon, words), PER_PAGE).get_page(page)
    names = list(addon.attachments.filter(app=app).values_list("name", flat=True))
    limits, url = addon.plan.limits, key_of(names[0], "URL") if names else ""
    return {
        **panels.frame(app, user, "resources"),
        "addon": addon,
        "ready": bool(addon.sealed_config),
        "q": words,
        "page": shown,
        "rows": [(mail, size_of(mail.size)) for mail in shown],
        "total": mails.found(addon, "").count() if words else shown.paginator.count,
        "most": limits.get("messages", mails.MESSAGES),
        "days": limits.get("days", mails.DAYS),
        "room": catalog.in_words("storage_mb", limits.get("storage_mb", mails.STORAGE_MB)),
        "keys": [key_of(name, suffix) for name in names for suffix in addon.service.config],
        "url": url,
        "try": TRY.format(url=url),
        "keep": urlencode({"q": words}) + "&" if words else "",
    }


def of_mail(app: App, user: User, addon: Addon, mail: Mail, *, way: str) -> dict[str, Any]:
    """One mail, looked at in one of the ways that it can be."""
    letter = letters.read(bytes(mail.raw))
    there = {"html": letter.html is not None, "text": letter.text is not None, "headers": True}
    ways = [(name, word) for name, word in WAYS.items() if there[name]]
    return {
        **panels.frame(app, user, "resources"),
        "addon": addon,
        "mail": mail,
        "letter": letter,
        "size": size_of(mail.size),
        "to": letter.header("To") or mail.recipients,
        "date": letter.header("Date"),
        "ways": ways,
        "way": way if there.get(way) else ways[0][0],
        "pieces": [(piece, size_of(piece.size) or "Empty") for piece in letter.pieces],
        "links": letters.links(letter),
    }
