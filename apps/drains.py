"""Log drains: which there are, and where they may lead."""

import re
import uuid
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.db import transaction

from accounts.models import User
from apps.logs import store
from apps.models import App, LogDrain
from core import activity, live, secrets
from core.errors import EngineError, NotFound, Refusal
from engine.outbound import Outbound

MAX_DRAINS = 5  # of an app
MOST_SHOWN = 2000  # characters of an address as it is shown
SCHEMES = ("https", "http", "syslog+tls", "syslog")
HIDDEN = "****"
_SECRET = re.compile(r"(?i)([?&][^=&]*(?:key|token|secret|pass|auth|sig)[^=&]*=)[^&]*")


@transaction.atomic
def add_drain(app: App, url: str, *, by: User) -> LogDrain:
    """Send the app's log, from now on, to `url` as well: syslog over TCP or TLS, or POSTs over HTTP."""
    url = check_url(url)
    App.objects.select_for_update().get(pk=app.pk)
    drain = LogDrain(
        app=app, shown_url=shown(url), token=f"d.{uuid.uuid4()}", position=store().last(app.log_stream)
    )
    drain.url = url
    others = LogDrain.objects.filter(app=app, addon=None)
    if others.filter(url_digest=drain.url_digest).exists():
        raise Refusal("This log drain is there already.", fields={"url": "This log drain is there already."})
    if others.count() >= MAX_DRAINS:
        raise Refusal(f"{app.name} has {MAX_DRAINS} log drains, which is the limit. Remove one first.")
    drain.save(force_insert=True)
    activity.record(by, "added", drain, app=app)
    live.tell(app.topic)
    return drain


@transaction.atomic
def give_to_addon(app: App, addon: uuid.UUID, url: str, *, token: str, by: User | None) -> LogDrain:
    """Send the app's log, from now on, to the provider of an add-on that `by` has ordered, which knows it by `token`; to
    `url`, which was checked, instead of another address, if it has one."""
    drain = LogDrain.objects.filter(addon=addon).first()
    made = drain or LogDrain(app=app, addon=addon, token=token, position=store().last(app.log_stream))
    made.url, made.shown_url = url, shown(url)
    if drain is None:
        made.save(force_insert=True)
        activity.record(by, "added", made, app=app)
    else:  # how far it is, is the conductor's to write
        made.save(update_fields=["sealed_url", "shown_url", "url_digest"])
    live.tell(app.topic)
    return made


def take_from_addon(addon: uuid.UUID) -> None:
    """Send nothing more to the provider of an add-on."""
    LogDrain.objects.filter(addon=addon).delete()


@transaction.atomic
def remove_drain(drain: LogDrain, *, by: User) -> None:
    """Send nothing more to it. `Refusal` for one that an add-on brought along."""
    if drain.addon:
        raise Refusal("This log drain came with an add-on, and goes with it: destroy that.")
    activity.record(by, "removed", drain, app=drain.app)
    live.tell(drain.app.topic)
    drain.delete()


def drain_of(app: App, ref: str) -> LogDrain:
    """The app's drain with this address (whole, or as it is shown), token or id; `NotFound` when it has none such."""
    known = secrets.digest(ref)
    for drain in app.log_drains.select_related("app"):
        if ref in (drain.shown_url, drain.token, str(drain.pk)) or drain.url_digest == known:
            return drain
    raise NotFound("Couldn't find that log drain.", resource="log_drain")


def check_url(url: str) -> str:
    """`url`; `Refusal` when no log can go there. A host that is not known today may be tomorrow."""
    url = url.strip()
    if len(shown(url)) > MOST_SHOWN:
        raise Refusal("That is too long for an address.", fields={"url": "Too long for an address."})
    if any(char <= " " or char == "\x7f" for char in url):  # which splitting would take away in silence
        raise Refusal("That is not a URL.", fields={"url": "That is not a URL."})
    try:
        Outbound(settings.OUTBOUND_ALLOW).check(without_person(url), schemes=SCHEMES)
    except Refusal as refusal:
        raise Refusal(refusal.message, fields={"url": refusal.message}) from None
    except EngineError:
        return url
    return url


def without_person(url: str) -> str:
    """`url` without user name and password, where these can be sent by other means."""
    parts = _split(url)
    if parts.scheme not in ("http", "https"):
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def shown(url: str) -> str:
    """`url` as it may be shown: without password, and without what looks like a key among its parameters."""
    parts = _split(url)
    person, at, host = parts.netloc.rpartition("@")
    name, colon, _ = person.partition(":")
    hidden = f"{name}:{HIDDEN}" if colon else HIDDEN
    query = _SECRET.sub(rf"\1{HIDDEN}", f"?{parts.query}")[1:]
    return parts._replace(netloc=f"{hidden}@{host}" if at else host, query=query).geturl()


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise Refusal("That is not a URL.", fields={"url": "That is not a URL."}) from None
