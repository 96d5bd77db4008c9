"""Whose word a passage waits for."""

from collections.abc import Iterator

from accounts.models import User
from flow import access
from flow.models import Passage
from notices.audience import audience

MOST = 100  # people that are asked


def deciders(passage: Passage) -> Iterator[User]:
    """Those who may say yes or no to it, of those who see the pipeline."""
    for user in audience(passage.line.stage.pipeline_id).order_by("pk")[:MOST]:
        if access.may_decide(user, passage):
            yield user
