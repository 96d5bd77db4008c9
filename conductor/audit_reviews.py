"""The auditor's look at review apps: each has somebody to destroy it, and nothing of them is left alone."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from apps.models import App
from conductor import status
from conductor.audit import Check, Violation
from reviews.models import AppSetup, ReviewApp

LONG = timedelta(minutes=30)  # that going away may take: its script, its add-ons


def orphans() -> Iterator[Violation]:
    """I-19: no app that the platform made for review is there without a row that takes it away again."""
    for app in App.objects.alive().filter(ephemeral="review", review_app=None):
        yield Violation("I-19", f"app {app}", "it is a review app of nothing, and nobody destroys it")
    for row in ReviewApp.objects.filter(state=ReviewApp.State.DELETED, app__isnull=False).select_related(
        "app"
    ):
        yield Violation("I-19", f"{row}", f"it is gone, and its app {row.app} is not")


def left_alone() -> Iterator[Violation]:
    """I-15: what is on its way has somebody to see to it; what is made has its app."""
    for row in ReviewApp.objects.filter(
        state=ReviewApp.State.CREATED, app=None, gone=False, status="resting"
    ):
        yield Violation("I-15", f"{row}", "it is created, and has no app")
    waiting = [ReviewApp.State.PENDING, ReviewApp.State.DELETING]
    for row in ReviewApp.objects.filter(state__in=waiting, status__in=("resting", "ended")):
        yield Violation("I-15", f"{row}", f"it is {row.state}, and nobody sees to it")
    for row in ReviewApp.objects.filter(state=ReviewApp.State.CREATING, status="resting").select_related(
        "setup"
    ):
        if row.setup is None or row.setup.status not in ("pending", "running"):
            yield Violation("I-15", f"{row}", "it is being created, and nobody sees to it")
    if status.read() is None:
        return
    since = timezone.now() - LONG
    for row in ReviewApp.objects.filter(state=ReviewApp.State.DELETING, updated_at__lt=since):
        yield Violation("I-15", f"{row}", "it has been going for half an hour")
    for setup in AppSetup.objects.open().filter(lease_until__lt=since):
        yield Violation("I-15", f"{setup}", f"stuck in {setup.status}")


ROWS: tuple[Check, ...] = (orphans, left_alone)
