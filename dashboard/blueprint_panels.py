"""What the pages of a pipeline as code show."""

from typing import Any

from accounts.access import MANAGE
from blueprints import actions, document, proposals
from blueprints.models import Proposal
from core.errors import Refusal
from pipelines.models import Pipeline

SHOWN = 20  # of the files that were looked at
KINDS = {
    Proposal.State.OFFERED: "waiting",
    Proposal.State.WRONG: "failed",
    Proposal.State.APPLIED: "passed",
    Proposal.State.PENDING: "queued",
}


def index_context(pipeline: Pipeline, rights: frozenset[str], text: str) -> dict[str, Any]:
    """The page. `text` is a file that was turned down."""
    may = MANAGE in rights
    rows = Proposal.objects.filter(pipeline=pipeline).defer("text").select_related("decided_by")
    return {
        "pipeline": pipeline,
        "tab": "settings",
        "may_manage": may,
        "text": text,
        "following": proposals.following_of(pipeline),
        "looked_at": [(row, _kind(row)) for row in rows[:SHOWN]],
    }


def proposal_context(pipeline: Pipeline, proposal: Proposal, rights: frozenset[str]) -> dict[str, Any]:
    """One file: what it would change now where it is offered, what it was about otherwise."""
    may = MANAGE in rights
    offered = proposal.state == Proposal.State.OFFERED
    plan, unreadable = None, ""
    if may and offered:
        try:
            plan = actions.compare(pipeline, document.read(proposal.text))
        except Refusal as refusal:
            unreadable = refusal.message
    return {
        "pipeline": pipeline,
        "tab": "settings",
        "proposal": proposal,
        "kind": _kind(proposal),
        "plan": plan,
        "unreadable": unreadable,
        "may_manage": may,
        "offered": offered,
    }


def _kind(proposal: Proposal) -> str:
    return KINDS.get(Proposal.State(proposal.state), "none")
