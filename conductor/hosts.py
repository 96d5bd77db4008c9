"""What is said to the hosts of repositories, and looked up there: reports on commits, comments, looks for what is new."""

import logging
from typing import Any
from uuid import UUID

from django.utils import timezone

from conductor import work
from conductor.turns import Turns, release_connections
from conductor.work import Held
from core.errors import EngineError
from forge import hosts, polling
from forge.models import OPEN, PullRequest, Report

log = logging.getLogger(__name__)

AT_ONCE = 2  # reports: hosts take their time, and others wait for the same threads
LOOK_SECONDS = 2.0
THREADS = 4
LONGEST_PAUSE = 900.0  # seconds


def advance(held: Held) -> float | None:
    """Tell a host what is to be told: see `conductor.work.Kind`. Twice does no harm."""
    report: Report = held.job
    if _outdone(report):
        report.end(Report.Status.SUCCEEDED, reason="A newer one says it.")
        return None
    api = hosts.api_of(report.repository)
    if api is None:
        report.end(Report.Status.FAILED, reason="There is no token for the host's API any more.")
        return None
    release_connections()
    try:
        _tell(api, report)
    except hosts.Denied as no:
        report.end(Report.Status.FAILED, reason=str(no)[:500])
        return None
    except EngineError as fault:
        if report.attempt >= work.ATTEMPTS:
            raise
        log.info("The host of %s: %s", report.repository, fault)
        report.put_back(seconds=min(4.0**report.attempt, LONGEST_PAUSE))
        return None
    report.end(Report.Status.SUCCEEDED)
    return None


def fail(report: Any, reason: str) -> None:
    """See `conductor.work.Kind`."""
    report.end(Report.Status.FAILED, reason=reason[:500])


def _outdone(report: Report) -> bool:
    newer = Report.objects.filter(repository=report.repository, subject=report.subject, status__in=OPEN)
    return newer.filter(created_at__gt=report.created_at).exists()


def _tell(api: hosts.Api, report: Report) -> None:
    pull = report.pull_request
    if pull is None:
        api.set_status(report.commit, report.context, report.state, report.description, report.url)
        return
    ref = api.comment(pull, report.text)
    PullRequest.objects.filter(pk=pull.pk).update(comment_ref=ref[:100])


class Looks:
    """Looks at repositories whose turn has come, some at a time; one that hangs keeps the others waiting no longer than
    its thread."""

    def __init__(self) -> None:
        self._turns: Turns[UUID] = Turns(_look, threads=THREADS, name="poll")

    def start(self) -> None:
        """Begin."""
        self._turns.start()

    def stop(self) -> None:
        """Begin no more looks; those under way get a moment to end."""
        self._turns.stop(2)

    def look(self) -> None:
        """Begin to look at those that are due. Cheap when none is."""
        for pk in polling.due(timezone.now()):
            self._turns.ask(pk)


def _look(pk: UUID) -> None:
    try:
        polling.look(pk)
    finally:
        release_connections()
