"""Hooks in: who sends them is proven before they are read, each is taken once, and what came of it is kept.

An unknown repository, one without a secret, and a wrong signature are turned down alike, in the same time (I-43).
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs
from uuid import UUID

from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core import activity, live
from core.errors import Forbidden, Refusal
from forge import payloads, signatures
from forge.applying import apply
from forge.models import Receipt, Repository
from forge.told import Body, Unreadable

KEPT = 1000  # receipts of a repository
NOTED_SECONDS = 10  # hooks that are turned down are counted no more often than that
GROUPED = timedelta(hours=1)  # those turned down within are one receipt


def receive(repository_id: UUID, headers: Mapping[str, str], body: bytes) -> Receipt | None:
    """Take a hook: returns what is kept of it, None when it had been taken before. `Forbidden` when it is not proven to
    come from the repository's host, `Refusal` when it is not what that sends."""
    repository = Repository.objects.filter(pk=repository_id).first()
    if not signatures.holds(repository, headers, body):
        if repository is not None:
            _note_refused(repository)
        raise Forbidden("There is no such repository here, or the hook is not signed with its secret.")
    assert repository is not None
    event = signatures.event_of(repository.host, headers)
    delivery = signatures.delivery_of(repository.host, headers)
    digest = hashlib.sha256(body).hexdigest()
    with transaction.atomic(), activity.coming("hook"):
        repository = Repository.objects.select_for_update(of=("self",)).get(pk=repository.pk)
        if _taken_before(repository, delivery, digest):
            return None
        read = _read(headers, body)
        receipt = Receipt(
            repository=repository,
            event=event,
            delivery=delivery,
            digest=digest,
            accepted=True,
            about=_about(read),
        )
        receipt.caused = _apply(repository, event, read)
        receipt.save(force_insert=True)
        _forget(repository)
        live.tell(repository.pipeline.topic)
    return receipt


def _taken_before(repository: Repository, delivery: str, digest: str) -> bool:
    """Whether this very hook was taken. Hosts don't sign the number of a delivery, so the same body under another
    number is the same hook; of GitLab it is not: it signs nothing, and tells the same of two pushes that are."""
    taken = Receipt.objects.filter(repository=repository, accepted=True)
    if delivery and taken.filter(delivery=delivery).exists():
        return True
    return repository.host != Repository.Host.GITLAB and taken.filter(digest=digest).exists()


def _read(headers: Mapping[str, str], body: bytes) -> Body:
    """The body as an object; GitHub can send it as a form too."""
    text = body
    if headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
        text = fields.get("payload", [""])[0].encode()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal("The body of the hook is no JSON.", status=400, id="bad_request") from None
    if not isinstance(found, dict):
        raise Refusal("The body of the hook is no object.", status=400, id="bad_request")
    return Body(found)


def _apply(repository: Repository, event: str, read: Body) -> list[str]:
    try:
        told = payloads.read(repository.host, event, read)
    except Unreadable as fault:
        return [f"It is not what {repository.get_host_display()} sends: {fault}"]
    return [sentence[:500] for sentence in apply(repository, told)][:50]


def _about(read: Body) -> str:
    """What it tells, in a few words: of a stranger, and for a list."""
    branch = read.text("ref", most=200).removeprefix("refs/heads/")
    pull = read.part("pull_request") or read.part("object_attributes") or read.part("pullrequest")
    title = pull.text("title", most=200)
    return (title or branch or read.text("context", most=200))[:300]


def _note_refused(repository: Repository) -> None:
    """Count a hook that was turned down: not each one, so that whoever sends many fills nothing."""
    if not cache.add(f"hook-refused:{repository.pk}", 1, NOTED_SECONDS):
        return
    now = timezone.now()
    recent = Receipt.objects.filter(repository=repository, accepted=False, at__gt=now - GROUPED)
    if recent.update(times=F("times") + 1, at=now):
        return
    why = (
        "Turned down: it was not signed with the secret."
        if repository.sealed_secret
        else "Turned down: no secret is set, so hooks are off."
    )
    Receipt.objects.create(repository=repository, accepted=False, caused=[why])


def _forget(repository: Repository) -> None:
    rows = Receipt.objects.filter(repository=repository).order_by("-at")
    oldest = rows.values_list("at", flat=True)[KEPT - 1 : KEPT].first()
    if oldest is not None:
        rows.filter(at__lt=oldest).delete()
