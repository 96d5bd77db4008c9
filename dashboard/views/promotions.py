"""Promote: what will change, the promise of it, and how it goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from apps import access as app_access
from core.errors import NotFound, Refusal
from dashboard import fleet
from dashboard.http import PageRequest, go, page_or_dialog
from dashboard.progress import progress
from dashboard.standing import Standing
from pipelines import access, actions, changes
from pipelines.models import Coupling, Pipeline, Promotion
from releases.models import Release

RELEASES_SHOWN = 15


@dataclass
class Candidate:
    """An app that may be promoted to, as the tick list shows it."""

    coupling: Coupling
    chosen: bool
    allowed: bool
    state: Standing
    hint: str


@require_safe
@login_required
def new(request: PageRequest, name: str) -> HttpResponse:
    """What promoting `?from=` would change on each `?to=`; by default on the apps of the next stage."""
    pipeline = access.pipeline_for(request.user, name)
    # Who may not deploy an app may not have its code run elsewhere either.
    source = access.coupling_in(pipeline, request.user, request.GET.get("from", ""), to=access.DEPLOY)
    release = _release(source, request.GET.get("release", ""))
    # `?asked=` tells a list of targets that was emptied by hand from one that was never given.
    wanted = request.GET.getlist("to") if {"to", "asked"} & set(request.GET) else None
    context = _context(request, pipeline, source, release, wanted)
    context["note"] = request.GET.get("note", "")
    return page_or_dialog(request, "promotions/new.html", context)


@require_POST
@login_required
def create(request: PageRequest, name: str) -> HttpResponse:
    """Promote, unless something changed since the form was shown: then it is shown again and says what."""
    pipeline = access.pipeline_for(request.user, name)
    source = access.coupling_in(pipeline, request.user, request.POST.get("from", ""), to=access.DEPLOY)
    release = _release(source, request.POST.get("release", ""))
    wanted = request.POST.getlist("to")
    targets = [
        access.coupling_in(pipeline, request.user, target, to=access.DEPLOY)
        for target in dict.fromkeys(wanted)
    ]
    said = changes.changed_since(request.POST.get("token", ""), source, release, targets)
    note = request.POST.get("note", "").replace("\0", "").strip()
    if said:
        context = _context(request, pipeline, source, release, wanted) | {"said": said, "note": note}
        return page_or_dialog(request, "promotions/new.html", context, status=409)
    promotion = actions.promote(source, targets, by=request.user, release=release, note=note)
    if request.htmx:
        return render(request, "promotions/_promotion.html", _progress(request, pipeline, promotion))
    return go(request, "promotion", pipeline.name, promotion.pk)


@require_safe
@login_required
def show(request: PageRequest, name: str, promotion_id: object) -> HttpResponse:
    """How a promotion goes, target by target."""
    pipeline = access.pipeline_for(request.user, name)
    rows = Promotion.objects.select_related("source", "release__slug", "by")
    promotion = get_object_or_404(rows, pipeline=pipeline, pk=promotion_id)
    return page_or_dialog(request, "promotions/promotion.html", _progress(request, pipeline, promotion))


def _release(source: Coupling, version: str) -> Release:
    """The release to promote: the one that serves, unless an older one was named."""
    if not version:
        release = Release.objects.current_for(source.app)
    elif version.isdecimal() and len(version) < 10:
        release = (
            Release.objects.filter(app=source.app, version=int(version))
            .select_related("slug__app", "by")
            .first()
        )
    else:
        release = None
    if release is None or release.slug is None:
        raise Refusal(f"{source.app.name} has no such release with code: there is nothing to promote.")
    if not release.eligible_for_rollback:
        raise Refusal(f"{release} of {source.app.name} can't be promoted: it is {release.status}.")
    return release


def _context(
    request: PageRequest, pipeline: Pipeline, source: Coupling, release: Release, wanted: Sequence[str] | None
) -> dict[str, Any]:
    candidates = _candidates(request, pipeline, source, wanted)
    targets = [candidate.coupling for candidate in candidates if candidate.chosen]
    found = changes.plan(source, release, targets)
    for candidate in candidates:
        change = next(
            (change for change in found.targets if change.app.pk == candidate.coupling.app_id), None
        )
        candidate.hint = _hint(candidate, change)
    return {
        "pipeline": pipeline,
        "tab": "board",
        "source": source,
        "release": release,
        "releases": _releases(source),
        "candidates": candidates,
        "targets": targets,
        "where": _where(targets),
        "plan": found,
        "token": changes.token(source, release, [candidate.coupling for candidate in candidates]),
    }


def _candidates(
    request: PageRequest, pipeline: Pipeline, source: Coupling, wanted: Sequence[str] | None
) -> list[Candidate]:
    """Every other app of the pipeline that the viewer sees, next stage first; its apps of the same code are chosen
    when nobody says what is wanted."""
    seen = access.visible_couplings(request.user, pipeline).exclude(pk=source.pk)
    rows = list(app_access.with_rights(seen, request.user, app="app__"))
    following = {coupling.pk for coupling in source.downstream()}
    rows.sort(key=lambda row: (row.pk not in following, row.stage.position, row.app.name))
    if wanted is None:
        wanted = [row.app.name for row in source.likely_targets()]
    elif set(wanted) - {row.app.name for row in rows}:
        raise NotFound("Couldn't find that app in this pipeline.", resource="app")
    states = fleet.look([row.app for row in rows])
    found = []
    for row in rows:
        allowed = access.DEPLOY in app_access.rights_found(request.user, row.app, row)
        now = states[row.app_id]
        hint = f"{now.current}" if now.current else "Nothing deployed"
        if now.releasing:
            hint = f"{hint}, queues after {now.releasing}"
        found.append(Candidate(row, allowed and row.app.name in wanted, allowed, now.state, hint))
    return found


def _hint(candidate: Candidate, change: changes.TargetChange | None) -> str:
    if not candidate.allowed:
        return f"{candidate.hint}, not yours to deploy"
    if change is None:
        return candidate.hint
    if change.same:
        return f"{candidate.hint}, runs this build already"
    if change.ahead:
        return f"{candidate.hint}, {change.ahead} behind"
    if change.behind:
        return f"{candidate.hint}, {change.behind} ahead: this goes back"
    return candidate.hint


def _releases(source: Coupling) -> list[Release]:
    """The releases that can be promoted, newest first."""
    done = Release.objects.filter(
        app=source.app, status=Release.Status.SUCCEEDED, slug__expired_at__isnull=True
    )
    return list(done.exclude(slug=None).select_related("slug").defer("sealed_config")[:RELEASES_SHOWN])


def _where(targets: Sequence[Coupling]) -> str:
    """The title's last words: “production”, “shop-eu”, “3 apps”."""
    stages = {target.stage_id for target in targets}
    if len(targets) == 1:
        return targets[0].app.name
    return targets[0].stage.title.lower() if len(stages) == 1 else f"{len(targets)} apps"


def _progress(request: PageRequest, pipeline: Pipeline, promotion: Promotion) -> dict[str, Any]:
    return {"pipeline": pipeline, "tab": "board", **progress(promotion, request.user)}
