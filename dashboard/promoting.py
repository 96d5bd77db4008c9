"""What the promote form shows: whom it may be for, which releases, and what would change. Twelve queries, however many
the apps."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery

from accounts.models import User
from apps import access as app_access
from core.errors import NotFound, Refusal
from dashboard import fleet
from dashboard.fleet import AppNow
from dashboard.gate_strips import barriers
from dashboard.progress import short_names
from dashboard.standing import Standing
from pipelines import access, changes
from pipelines.models import Coupling, Pipeline, Stage
from releases.models import Release
from releases.requirements import with_manifest

RELEASES_SHOWN = 15
CANDIDATES = 40  # apps in the list; more are named


@dataclass
class Candidate:
    """An app that may be promoted to, as the tick list shows it."""

    coupling: Coupling
    chosen: bool
    allowed: bool
    state: Standing
    hint: str
    near: bool = False  # in the next stage


def context(
    user: User, pipeline: Pipeline, source_name: str, version: str, wanted: Sequence[str] | None
) -> dict[str, Any]:
    """The form for promoting from the app of that name, its release `version` or what it runs, to the apps named in
    `wanted`; None for those that one would expect."""
    source, others = _couplings(user, pipeline, source_name)
    following = [row for row in others if row.stage_id == getattr(source, "following", None)]
    others.sort(key=lambda row: (row not in following, row.stage.position, row.app.name))
    if set(wanted or ()) - {row.app.name for row in others}:
        raise NotFound("Couldn't find that app in this pipeline.", resource="app")
    shown = [row for at, row in enumerate(others) if at < CANDIDATES or row.app.name in (wanted or ())]
    states = fleet.look([source.app, *(row.app for row in shown)])
    if wanted is None:
        built = {
            pk: now.current.slug.app_id for pk, now in states.items() if now.current and now.current.slug
        }
        expected = source.likely([row for row in following if row in shown], built)
        wanted = [row.app.name for row in expected]
    releases = _releases(source, version)
    release = release_of(source, version, releases)
    closed = access.protected_from(user, pipeline, {row.stage for row in shown})
    candidates = [_candidate(user, row, states[row.app_id], wanted, closed) for row in shown]
    for candidate in candidates:
        candidate.near = candidate.coupling in following
    more = len(others) - len(shown)
    found = _compare(user, source, release, candidates, states)
    far = [candidate for candidate in candidates if not candidate.near]
    before = barriers(source, release, found["targets"])
    return {
        "barriers": before,
        "shut": any(barrier.shut for barrier in before),
        "pipeline": pipeline,
        "tab": "board",
        "releases": releases,
        "near": bool(following),
        "far": far,
        "far_chosen": any(candidate.chosen for candidate in far),
        "more": more,
        **found,
    }


def _couplings(user: User, pipeline: Pipeline, name: str) -> tuple[Coupling, list[Coupling]]:
    """The source, and every other app of the pipeline that the viewer sees. Each knows the stage after its own."""
    after = Stage.objects.filter(pipeline=OuterRef("pipeline"), position__gt=OuterRef("stage__position"))
    seen = access.visible_couplings(user, pipeline).annotate(
        following=Subquery(after.order_by("position").values("pk")[:1])
    )
    seen = seen.select_related("app", "stage__line", "pipeline")
    rows: list[Any] = list(app_access.with_rights(seen, user, app="app__"))
    source: Any = next((row for row in rows if name in (row.app.name, str(row.app_id))), None)
    # Who may not deploy an app may not have its code run elsewhere either.
    if source is None or access.DEPLOY not in app_access.rights_found(user, source.app, source):
        source = access.coupling_in(pipeline, user, name, to=access.DEPLOY)
    if source.stage.word in (Stage.Word.REVIEW, Stage.Word.PRODUCTION):
        source.following = None
    for row in rows:
        row.pipeline = row.stage.pipeline = pipeline
    return source, [row for row in rows if row.pk != source.pk]


def _candidate(
    user: User, row: Coupling, now: AppNow, wanted: Sequence[str], closed: Collection[Any]
) -> Candidate:
    why_not = ""
    if access.DEPLOY not in app_access.rights_found(user, row.app, row):
        why_not = "not yours to deploy"
    elif row.stage_id in closed:
        why_not = f"you may not promote into {row.stage.title.lower()}"
    elif row.stage.source == Stage.Origin.OWN:
        why_not = "builds its own releases"
    hint = f"{now.current}" if now.current else "Nothing deployed"
    if why_not:
        hint = f"{hint}, {why_not}"
    elif now.releasing:
        hint = f"{hint}, queues after {now.releasing}"
    return Candidate(row, row.app.name in wanted and not why_not, not why_not, now.state, hint)


def release_of(source: Coupling, version: str, known: Sequence[Release] = ()) -> Release:
    """The release to promote: the one that serves, unless an older one was named. `Refusal` when it can't be."""
    if not version:
        release = next((row for row in known if row.current), None) or Release.objects.current_for(source.app)
    elif version.isdecimal() and len(version) < 10:
        rows = Release.objects.filter(app=source.app, version=int(version)).select_related("slug__app", "by")
        release = next((row for row in known if row.version == int(version)), None) or rows.first()
    else:
        release = None
    if release is None or release.slug is None:
        raise Refusal(f"{source.app.name} has no such release with code: there is nothing to promote.")
    if not release.eligible_for_rollback:
        raise Refusal(f"{release} of {source.app.name} can't be promoted: it is {release.status}.")
    return release


def _releases(source: Coupling, version: str) -> list[Release]:
    """The releases that can be promoted, newest first; the one of that version among them."""
    named = Q(version=int(version)) if version.isdecimal() and len(version) < 10 else Q(current=True)
    done = Release.objects.filter(
        app=source.app, status=Release.Status.SUCCEEDED, slug__expired_at__isnull=True
    ).exclude(slug=None)
    newest = done.order_by("-version").values("pk")[:RELEASES_SHOWN]
    rows = with_manifest(done.filter(named | Q(pk__in=newest)).order_by("-version"), named)
    return list(rows.select_related("slug__app").defer("sealed_config"))


def _compare(
    user: User,
    source: Coupling,
    release: Release,
    candidates: Sequence[Candidate],
    states: Mapping[UUID, AppNow],
) -> dict[str, Any]:
    targets = [candidate.coupling for candidate in candidates if candidate.chosen]
    apps = [source.app, *(target.app for target in targets)]
    current = {app.pk: states[app.pk].current for app in apps}
    ground = changes.with_values(apps, current, {app.pk: states[app.pk].formation for app in apps})
    plan = changes.plan(source, release, targets, ground=ground, hidden=_hidden(user, [source, *targets]))
    by_app = {change.app.pk: change for change in plan.targets}
    for candidate in candidates:
        candidate.hint += _distance(by_app.get(candidate.coupling.app_id))
    return {
        "source": source,
        "release": release,
        "candidates": candidates,
        "targets": targets,
        "labels": short_names(apps),
        "where": _where(targets),
        "plan": plan,
        "token": changes.token(source, release, targets, ground=ground),
    }


def _hidden(user: User, couplings: Sequence[Coupling]) -> frozenset[Any]:
    if all(row.stage.readers != Stage.Readers.ADMINS for row in couplings):
        return frozenset()
    return access.hiding_from(user, [row.app for row in couplings])


def _distance(change: changes.TargetChange | None) -> str:
    if change is None:
        return ""
    if change.same:
        return ", runs this build already"
    if change.ahead:
        return f", {change.ahead} behind"
    return f", {change.behind} ahead: this goes back" if change.behind else ""


def _where(targets: Sequence[Coupling]) -> str:
    """The title's last words: “production”, “shop-eu”, “3 apps”."""
    stages = {target.stage_id for target in targets}
    if len(targets) == 1:
        return targets[0].app.name
    return targets[0].stage.title.lower() if len(stages) == 1 else f"{len(targets)} apps"
