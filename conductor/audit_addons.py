"""The auditor's look at add-ons: config vars are what attachments say, and providers hold what is ordered, no more."""

from collections.abc import Iterator

from django.db.models import Q

from addons.attachments import wanted
from addons.models import Addon, Attachment
from addons.providers import provider_for
from addons.providers.base import Lists
from apps.models import App, ConfigVar
from conductor.audit import Check, Violation
from core.errors import EngineError
from core.secrets import Tampered


def seals() -> Iterator[Violation]:
    """I-38: what providers gave, and what they make it from, opens."""
    for addon in Addon.objects.all():
        try:
            _ = addon.config, addon.secret if addon.sealed_secret else ""
        except (Tampered, ValueError) as error:
            yield Violation("I-38", f"add-on {addon}", f"its config does not open: {error}")


def attached() -> Iterator[Violation]:
    """I-09: the config vars that add-ons set are those of the app's attachments, which there are."""
    owned = ConfigVar.objects.filter(attachment_id__isnull=False).values("app")
    users = Q(pk__in=Attachment.objects.values("app")) | Q(pk__in=owned)
    for app in App.objects.alive().filter(users):
        rows = ConfigVar.objects.filter(app=app, attachment_id__isnull=False)
        try:
            found = {row.key: (row.value, row.attachment_id) for row in rows}
            due = {key: (given.value, given.attachment) for key, given in wanted(app).items()}
        except (Tampered, ValueError):
            continue  # told by others
        for key in sorted({*found, *due}):
            if found.get(key) != due.get(key):
                yield Violation("I-09", f"app {app}", f"{key} is not what its add-ons say")


def left_alone() -> Iterator[Violation]:
    """I-15: nothing is on the way without anybody to see to it."""
    for addon in Addon.objects.exclude(status__in=("pending", "running")):
        if addon.tasks or addon.state in ("provisioning", "changing", "deprovisioning"):
            yield Violation("I-15", f"add-on {addon}", f"it is {addon.state}, and nobody sees to it")


def held() -> Iterator[Violation]:
    """I-19: providers hold nothing that nobody ordered; what is ready is there."""
    for service in set(Addon.objects.values_list("plan__service__name", flat=True)) | {
        "heroku-postgresql",
        "heroku-redis",
        "memcachier",
        "storage",
    }:
        provider = provider_for(service)
        if not isinstance(provider, Lists):
            continue
        try:
            there = provider.holds()
        except EngineError:
            continue  # a server that is away is no broken promise
        rows = Addon.objects.filter(plan__service__name=service)
        ordered = {str(addon.pk): addon for addon in rows}
        for id in sorted(there - set(ordered)):
            yield Violation("I-19", f"{service} {id}", "its provider holds it, and no add-on is it")
        for id, addon in ordered.items():
            if addon.state in ("provisioned", "changing") and addon.sealed_secret and id not in there:
                yield Violation("I-19", f"add-on {addon}", "its provider does not know it")


ROWS: tuple[Check, ...] = (seals, attached, left_alone)
WORLD: tuple[Check, ...] = (held,)
