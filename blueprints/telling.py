"""How notices tell of a slipway.yml."""

from blueprints.models import Proposal
from notices.models import Notice
from notices.stories import Stale, Story, page

SAID = 5  # changes that are told; the page has all of them


def tell(proposal: Proposal, notice: Notice) -> Story:
    """What came of it."""
    name = proposal.pipeline.name
    url = page("proposal", name, proposal.pk)
    facts = [("Change", f"{proposal.commit[:7]} {proposal.message}"), ("Author", proposal.author)]
    said = [("Asks for", text) for text in proposal.changes[:SAID]]
    match proposal.state:
        case Proposal.State.OFFERED:
            title = f"The slipway.yml of {name} asks for other settings"
            return Story(title, (*facts, *said), url, "Look at it and decide")
        case Proposal.State.APPLIED:
            return Story(f"The slipway.yml of {name} was applied", (*facts, *said), url, "Look at it")
        case Proposal.State.WRONG:
            why = proposal.reason.splitlines()[:SAID]
            wrong = tuple(("Why", line) for line in why)
            return Story(f"The slipway.yml of {name} can’t be applied", (*facts, *wrong), url, "Look at it")
    raise Stale("It was decided, or a newer one took its place.")
