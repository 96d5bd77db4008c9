"""What is done with a pipeline as code: plan what would change, and change that."""

from dataclasses import dataclass, field

from django.db import transaction

from accounts.access import MANAGE
from accounts.models import User
from blueprints import applying, comparing, document
from blueprints.comparing import Change
from blueprints.document import Document
from core import activity, live
from core.errors import Conflict, Refusal
from flow.access import demand_manager
from pipelines import access
from pipelines.models import Pipeline, Stage


@dataclass(frozen=True)
class Plan:
    """What a document would change, and what speaks against it. `seen` tells apart the settings that it was made for."""

    wanted: Document
    changes: list[Change]
    seen: str
    against: str = ""  # what can't be, in a sentence
    secrets: list[str] = field(default_factory=list)  # gates whose secret is shown once they are made

    @property
    def empty(self) -> bool:
        """Whether everything is so already."""
        return not self.changes


@dataclass(frozen=True)
class Applied:
    """What was changed; `secrets` are (gate, secret) of webhooks that were added."""

    changes: list[Change]
    secrets: list[tuple[str, str]]


class _Undone(Exception):
    """Ends a rehearsal."""


def export(pipeline: Pipeline) -> str:
    """The slipway.yml that says what is so."""
    return document.write(document.of(pipeline))


def compare(pipeline: Pipeline, wanted: Document) -> Plan:
    """What `wanted` would change now, without trying it out."""
    now = document.of(pipeline)
    return Plan(wanted, comparing.changes(now, wanted), document.digest(now))


def plan(pipeline: Pipeline, wanted: Document, *, by: User) -> Plan:
    """What `wanted` would change. It is tried out, and undone: what could not be is found out now."""
    now = document.of(pipeline)
    found = comparing.changes(now, wanted)
    against, secrets = _rehearse(pipeline, now, wanted, by) if found else ("", [])
    return Plan(wanted, found, document.digest(now), against, secrets)


@transaction.atomic
def apply(pipeline: Pipeline, wanted: Document, *, seen: str, by: User) -> Applied:
    """Make it so, all of it or nothing. `Conflict` when the settings are others than the plan was made for."""
    demand_manager(by, pipeline)
    now = _locked(pipeline)
    if document.digest(now) != seen:
        raise Conflict(
            f"The settings of {pipeline.name} have changed since. Look at what would change now, and apply that."
        )
    found = comparing.changes(now, wanted)
    if not found:
        return Applied([], [])
    secrets = applying.make(pipeline, now, wanted, by=by)
    activity.record(by, "applied slipway.yml to", pipeline, changes=[str(one)[:200] for one in found[:50]])
    live.tell(pipeline.topic)
    return Applied(found, secrets)


def _rehearse(pipeline: Pipeline, now: Document, wanted: Document, by: User) -> tuple[str, list[str]]:
    """What is against it, and which gates would get a secret."""
    if MANAGE not in access.rights_in(by, pipeline):
        return f"Only who manages {pipeline.name} changes its settings.", []
    secrets: list[str] = []
    try:
        with transaction.atomic():
            now = _locked(pipeline)
            secrets = [gate for gate, _ in applying.make(pipeline, now, wanted, by=by)]
            raise _Undone
    except _Undone:
        return "", secrets
    except Refusal as refusal:
        return refusal.message, []


def _locked(pipeline: Pipeline) -> Document:
    """The settings as they are, until the transaction ends."""
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    list(Stage.objects.select_for_update().filter(pipeline=pipeline))
    return document.of(pipeline)
