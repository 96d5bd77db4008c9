"""The repository's slipway.yml: heard of when it is pushed, looked at by the conductor, applied or offered."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from accounts.access import MANAGE, managers_of
from accounts.models import User
from blueprints import actions, document, schema
from blueprints.actions import Applied
from blueprints.models import Following, Proposal
from core import activity, live
from core.errors import Conflict, NotFound, Refusal
from flow.access import demand_manager
from forge import code
from forge.events import News, Pushed
from notices.occasions import Occasion
from notices.outbox import put
from pipelines import access
from pipelines.models import Pipeline

State = Proposal.State
OWN = ("main", "master")  # the branches that count where no host says which one does


def heard(news: News) -> Iterable[str]:
    """Listens to the forge: a push to the default branch that changed the file, as far as that is told."""
    if not isinstance(news, Pushed) or not news.commit or news.branch not in _branches(news.pipeline):
        return []
    if news.files is not None and schema.FILE not in news.files:
        return []
    _, made = Proposal.objects.get_or_create(
        pipeline=news.pipeline,
        commit=news.commit,
        status__in=["pending", "running"],
        defaults={
            "branch": news.branch[:255],
            "message": news.message[:500],
            "author": news.author[:200],
            "by": news.by,
            "status": Proposal.Status.PENDING,
        },
    )
    if not made:
        return []
    live.wake_conductor()
    return [f"Looks at its {schema.FILE}."]


def _branches(pipeline: Pipeline) -> tuple[str, ...]:
    place = code.place_of(pipeline)
    return (place.repository.default_branch,) if place and place.repository else OWN


def following_of(pipeline: Pipeline) -> Following:
    """Whether it follows its repository; unsaved where nobody has said anything."""
    return Following.objects.filter(pipeline=pipeline).select_related("by").first() or Following(
        pipeline=pipeline
    )


@transaction.atomic
def follow(pipeline: Pipeline, on: bool, *, by: User) -> Following:
    """Have what the repository says applied by itself, in the name of `by`; or offered only."""
    demand_manager(by, pipeline)
    row, _ = Following.objects.get_or_create(pipeline=pipeline)
    if (row.on, row.by) != (on, by):
        row.on, row.by = on, by
        row.save()
        verb = "has slipway.yml applied by itself to" if on else "has slipway.yml offered only to"
        activity.record(by, verb, pipeline)
        live.tell(pipeline.topic)
    return row


def offered(pipeline: Pipeline) -> Proposal | None:
    """The one that waits for somebody, if there is one."""
    return Proposal.objects.filter(pipeline=pipeline, state=State.OFFERED).defer("text").first()


def proposal_of(pipeline: Pipeline, pk: object) -> Proposal:
    """One of this very pipeline; `NotFound` when it has none of that id."""
    rows = Proposal.objects.filter(pipeline=pipeline).select_related("pipeline", "by", "decided_by")
    found = next((row for row in rows.filter(pk=str(pk))), None)
    if found is None:
        raise NotFound("Couldn't find that slipway.yml.", resource="proposal")
    return found


@transaction.atomic
def accept(proposal: Proposal, *, seen: str, by: User) -> Applied:
    """Apply what is offered. `Conflict` when it is not any more, or the settings have changed since the plan."""
    demand_manager(by, proposal.pipeline)
    row = _open(proposal)
    applied = actions.apply(row.pipeline, document.read(row.text), seen=seen, by=by)
    _decide(row, State.APPLIED, by)
    return applied


@transaction.atomic
def decline(proposal: Proposal, *, by: User) -> None:
    """Leave everything as it is."""
    demand_manager(by, proposal.pipeline)
    row = _open(proposal)
    _decide(row, State.DECLINED, by)
    activity.record(by, "declined", row, pipeline=row.pipeline)


def _open(proposal: Proposal) -> Proposal:
    rows = Proposal.objects.select_for_update(of=("self",)).select_related("pipeline")
    row = rows.get(pk=proposal.pk)
    if row.state != State.OFFERED:
        raise Conflict(f"This {schema.FILE} is not offered any more: {row.get_state_display()}.")
    return row


def _decide(row: Proposal, state: str, by: User) -> None:
    Proposal.objects.filter(pk=row.pk).update(state=state, decided_by=by, decided_at=timezone.now())
    live.tell(row.pipeline.topic)


# --- for the conductor -----------------------------------------------------------------------------------------------------


@transaction.atomic
def settle(proposal: Proposal, text: str | None) -> None:
    """Say what comes of the file (None: there is none). The caller holds the lease. What is older is outdated by it, and
    it by what is newer, in whichever order they are looked at."""
    pipeline = Pipeline.objects.select_for_update().get(pk=proposal.pipeline_id)
    others = Proposal.objects.filter(pipeline=pipeline).exclude(pk=proposal.pk)
    if others.filter(created_at__gt=proposal.created_at).exists():
        _end(proposal, State.OUTDATED)
        return
    others.filter(state__in=[State.OFFERED, State.WRONG]).update(state=State.OUTDATED)
    if text is None:
        _end(proposal, State.NOTHING, reason="There is no such file.")
        return
    try:
        _settle(proposal, text)
    except Refusal as refusal:
        _end(proposal, State.WRONG, text=text, reason=refusal.message)
        _tell(proposal)


def _settle(proposal: Proposal, text: str) -> None:
    pipeline, following = proposal.pipeline, following_of(proposal.pipeline)
    wanted = document.read(text)
    by = _in_whose_name(following)
    plan = actions.plan(pipeline, wanted, by=by)
    said = [str(change) for change in plan.changes]
    if plan.empty:
        _end(proposal, State.NOTHING, text=text)
    elif plan.against:
        _end(proposal, State.WRONG, text=text, reason=plan.against, changes=said)
        _tell(proposal)
    elif following.on and following.by == by and not plan.secrets:
        actions.apply(pipeline, wanted, seen=plan.seen, by=by)
        _end(
            proposal,
            State.APPLIED,
            text=text,
            changes=said,
            decided_by=by,
            decided_at=timezone.now(),
        )
        _tell(proposal)
    else:
        _end(proposal, State.OFFERED, text=text, changes=said)
        _tell(proposal)


def _in_whose_name(following: Following) -> User:
    """Who switched it on, as long as they manage the pipeline; else somebody who does, to try it out only."""
    pipeline, by = following.pipeline, following.by
    if by is not None and by.is_active and MANAGE in access.rights_in(by, pipeline):
        return by
    managers = managers_of(pipeline.owner)
    if not managers:
        raise Refusal(f"Nobody manages {pipeline.name}.")
    return managers[0]


def _end(proposal: Proposal, state: str, **more: object) -> None:
    proposal.end(Proposal.Status.ENDED, state=state, **more)
    live.tell(proposal.pipeline.topic)


def _tell(proposal: Proposal) -> None:
    about = tuple(user for user in (proposal.by,) if user is not None)
    put(Occasion("plan-offered", proposal, proposal.pipeline_id, about=about))


def look_again() -> None:
    """End the offers of which everything is so by now, since somebody has changed the settings themselves."""
    for row in Proposal.objects.filter(state=State.OFFERED).select_related("pipeline"):
        try:
            over = actions.compare(row.pipeline, document.read(row.text)).empty
        except Refusal:  # its page says what is wrong with it
            continue
        ended = {
            "state": State.NOTHING,
            "changes": [],
            "reason": "The settings were changed to what it asks for.",
        }
        if over and Proposal.objects.filter(pk=row.pk, state=State.OFFERED).update(**ended):
            live.tell(row.pipeline.topic)


def give_up(proposal: Proposal, reason: str) -> None:
    """End one whose file could not be had."""
    proposal.end(Proposal.Status.ENDED, state=State.WRONG, reason=reason[:500])
