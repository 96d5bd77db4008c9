"""One cheap question to the database: is there anything to do? The dispatcher asks it at every nudge.

It is plain SQL, since compiling the same queries by the ORM each time costs ten times as much as the answer, in a
process whose other threads wait for it.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.utils import timezone

from addons.models import Addon, Transfer
from apps.models import CertificateOrder
from blueprints.models import Proposal
from ci.models import TestRun
from conductor.models import NodeRequest
from core.jobs import Job
from core.models import Event
from flow.models import Probe, Watch
from forge.models import Report
from pipelines.models import PromotionTarget
from releases.models import Build, Release
from reviews.models import AppSetup, ReviewApp

JOBS: tuple[type[Job], ...] = (
    PromotionTarget,
    Release,
    Build,
    Addon,
    Transfer,
    NodeRequest,
    CertificateOrder,
    AppSetup,
    ReviewApp,
    TestRun,
    Watch,
    Probe,
    Report,
    Proposal,
)
_FREE = (
    "EXISTS(SELECT 1 FROM {} WHERE status IN ('pending', 'running')"
    " AND (lease_until IS NULL OR lease_until < %s) AND (wake_at IS NULL OR wake_at <= %s))"
)
_ONE = {model: f"SELECT {_FREE.format(model._meta.db_table)}" for model in JOBS}
_CANCELLED = "EXISTS(SELECT 1 FROM {} WHERE status IN ('pending', 'running') AND cancel_asked)"
_EVENTS = "EXISTS(SELECT 1 FROM {} WHERE at > %s)"
_QUESTION = ", ".join(
    [
        *(_FREE.format(model._meta.db_table) for model in JOBS),
        _CANCELLED.format(Build._meta.db_table),
        _EVENTS.format(Event._meta.db_table),
    ]
)


@dataclass(frozen=True)
class Agenda:
    """What there may be to do; a closer look decides."""

    jobs: dict[type[Job], bool]  # rows that are open and nobody's
    cancelled: bool  # builds that were asked to end
    events: bool  # since the time that was asked about


def has_free(model: type[Job]) -> bool:
    """Whether there are rows of this kind that are open and nobody's."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(_ONE[model], [now, now])
        return bool(cursor.fetchone()[0])


def ask(since: datetime) -> Agenda:
    """What there is to do now, and whether there were events after `since`."""
    adapt = connection.ops.adapt_datetimefield_value
    now = adapt(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_QUESTION}", [*[now, now] * len(JOBS), adapt(since)])
        *jobs, cancelled, events = cursor.fetchone()
    return Agenda(dict(zip(JOBS, map(bool, jobs), strict=True)), bool(cancelled), bool(events))
