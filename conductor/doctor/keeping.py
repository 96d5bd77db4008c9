"""What has to be kept: keys, backups, certificates, and closed ports."""

import base64
import binascii
import ipaddress
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from apps.models import Certificate
from conductor.backups import history, schedule
from conductor.doctor.finding import Check, Finding, ok, problem, warning
from releases import rotation

SHORTEST_SECRET = 40
KEY_BYTES = 32
SOON = timedelta(days=14)
DAY = 24 * 3600


def keys() -> Iterator[Finding]:
    """Strong enough, and all there."""
    names = []
    for item in settings.SLIPWAY_KEYS:
        name, _, text = item.partition(":")
        names.append(name)
        try:
            whole = len(base64.b64decode(text, validate=True)) == KEY_BYTES
        except (binascii.Error, ValueError):
            whole = False
        if not whole:
            yield problem("Keys", f"“{name}” is not 32 bytes in base64", "Make one with manage.py newkeys.")
    if len(settings.SECRET_KEY) < SHORTEST_SECRET:
        yield problem("Secret key", "shorter than 40 characters", "Make one with manage.py newkeys.")
    used = rotation.keys_in_use()
    if missing := used - set(names):
        advice = "Put it back into SLIPWAY_KEYS: what is sealed with it can't be opened."
        yield problem("Keys", f"{', '.join(sorted(missing))} is in use and not there", advice)
    elif old := used - set(names[:1]):
        advice = "Run manage.py rotatekeys."
        yield warning("Keys", f"values are still sealed with {', '.join(sorted(old))}", advice)
    else:
        yield ok("Keys", f"{len(names)}, sealing with {names[0] if names else 'none'}")


def backups() -> Iterator[Finding]:
    """There is one, and it is young."""
    last, age = history.last(), schedule.age()
    hours = settings.BACKUP_HOURS
    if last and last.get("failed"):
        yield problem(
            "Backup", f"the last try failed: {last['failed']}", "Mend that, then run manage.py backup."
        )
    if age is None:
        yield warning(
            "Backup", "there is none", "Set SLIPWAY_BACKUP_HOURS, or run manage.py backup by a timer."
        )
        return
    text = f"{_span(age)} old" + (f", {last['file']}" if last and last["file"] else ", sent through a pipe")
    if age > 2 * (hours * 3600 or DAY):
        yield (problem if hours else warning)(
            "Backup", text, "Run manage.py backup, and see why none is made."
        )
    else:
        yield ok("Backup", text)


def _span(seconds: float) -> str:
    return f"{seconds / DAY:.1f} days" if seconds > 2 * DAY else f"{seconds / 3600:.1f} hours"


def certificates() -> Iterator[Finding]:
    """Those of apps that end soon."""
    now = timezone.now()
    rows = Certificate.objects.filter(expires_at__lt=now + SOON).select_related("app").order_by("expires_at")
    for row in rows[:20]:
        over = row.expires_at < now
        text = f"of {row.app} {'ended' if over else 'ends'} on {row.expires_at:%-d %B %Y}"
        advice = f"Update it on the app's Settings page, or: heroku certs:update -a {row.app}"
        yield (problem if over else warning)("Certificate", text, advice)


def doors() -> Iterator[Finding]:
    """What strangers can reach."""
    if settings.URL.startswith("http:") and not _is_local(settings.HOST):
        advice = "Use https: sign-in and tokens travel readable. Set SLIPWAY_URL to https://…"
        yield warning("Address", f"{settings.URL} is not encrypted", advice)
    if settings.ENGINE_URL == "local:" and not _is_local(settings.BIND):
        advice = "Have the firewall keep others from these ports: dynos listen there."
        yield warning("Ports", f"dynos may be reached on {settings.DYNO_PORTS}", advice)
    if settings.MONITOR and not _is_private(settings.MONITOR.rpartition(":")[0]):
        yield warning("Ports", f"figures are shown on {settings.MONITOR}", "Bind it to a private address.")
    if urlsplit(settings.URL).hostname == settings.APPS_HOST and not _is_local(settings.HOST):
        advice = "Give apps another registrable domain than the dashboard's: SLIPWAY_APPS_HOST."
        yield warning("Domains", "apps share the dashboard's domain", advice)


def _is_local(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return address.is_private and not address.is_unspecified


CHECKS: tuple[Check, ...] = (keys, backups, certificates, doors)
