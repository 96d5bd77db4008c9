"""Promote: what will change, the promise of it, and how it goes."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from apps import access as app_access
from dashboard import promoting
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from dashboard.progress import progress
from pipelines import access, changes, outcomes
from pipelines.models import Coupling, Pipeline, Promotion
from releases.models import Release

IN_TURN, AT_ONCE = "in-turn", "at-once"


@require_safe
@login_required
def new(request: PageRequest, name: str) -> HttpResponse:
    """What promoting `?from=` would change on each `?to=`; by default on the apps of the next stage."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    # `?asked=` tells a list of targets that was emptied by hand from one that was never given.
    wanted = _named(request.GET.getlist("to")) if {"to", "asked"} & set(request.GET) else None
    source, version = request.GET.get("from", ""), request.GET.get("release", "")
    context = promoting.context(request.user, pipeline, source, version, wanted)
    how: dict[str, Any] = {"note": request.GET.get("note", ""), "order": _order(request.GET.get("order", ""))}
    how |= {"form": Form(), "may_manage": access.MANAGE in rights}
    return page_or_dialog(request, "promotions/new.html", context | how)


@require_POST
@login_required
def create(request: PageRequest, name: str) -> HttpResponse:
    """Promote, unless something changed since the form was shown: then it is shown again and says what."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    source = access.coupling_in(pipeline, request.user, request.POST.get("from", ""), to=access.DEPLOY)
    release = promoting.release_of(source, request.POST.get("release", ""))
    wanted = _named(request.POST.getlist("to"))
    targets = [access.coupling_in(pipeline, request.user, name, to=access.DEPLOY) for name in wanted]
    form = Form(request, note="", override="", token="")
    order = _order(request.POST.get("order", ""))
    made = form.attempt(lambda: _promote(request, source, release, targets, order, form))
    promotion, said = made or (None, [])
    if promotion is None:
        context = promoting.context(request.user, pipeline, source.app.name, str(release.version), wanted)
        again = {"said": said, "note": form.value("note"), "order": order, "form": form}
        again |= {"may_manage": access.MANAGE in rights, "shut": context["shut"] or bool(form.message)}
        status = 409 if made else form.status
        return page_or_dialog(request, "promotions/new.html", context | again, status=status)
    if request.htmx:
        return render(request, "promotions/_promotion.html", _progress(request, pipeline, promotion))
    return go(request, "promotion", pipeline.name, promotion.pk)


def _promote(
    request: PageRequest,
    source: Coupling,
    release: Release,
    targets: Sequence[Coupling],
    order: str,
    form: Form,
) -> tuple[Promotion | None, list[str]]:
    return changes.promote_as_shown(
        form.value("token"),
        source,
        release,
        targets,
        by=request.user,
        note=form.value("note"),
        override=form.value("override"),
        one_by_one=order == IN_TURN and len(targets) > 1,
    )


@require_safe
@login_required
def show(request: PageRequest, name: str, promotion_id: object) -> HttpResponse:
    """How a promotion goes, target by target."""
    pipeline = access.pipeline_for(request.user, name)
    promotion = _promotion(pipeline, promotion_id)
    return page_or_dialog(request, "promotions/promotion.html", _progress(request, pipeline, promotion))


@require_POST
@login_required
def stop(request: PageRequest, name: str, promotion_id: object) -> HttpResponse:
    """Start nothing more of a promotion; for who may deploy the app that it came from."""
    pipeline = access.pipeline_for(request.user, name)
    promotion = _promotion(pipeline, promotion_id)
    app_access.app_for(request.user, promotion.source.name, to=access.DEPLOY)
    outcomes.stop(promotion, by=request.user)
    if request.htmx:
        stopped = _promotion(pipeline, promotion_id)
        return render(request, "promotions/_promotion.html", _progress(request, pipeline, stopped))
    return go(request, "promotion", pipeline.name, promotion.pk)


def _promotion(pipeline: Pipeline, promotion_id: object) -> Promotion:
    rows = Promotion.objects.select_related("source", "release__slug", "by")
    return get_object_or_404(rows, pipeline=pipeline, pk=promotion_id)


def _named(names: Sequence[str]) -> list[str]:
    """One of each; a field that was left empty names nothing."""
    return [name for name in dict.fromkeys(names) if name]


def _order(text: str) -> str:
    return text if text in (IN_TURN, AT_ONCE) else IN_TURN


def _progress(request: PageRequest, pipeline: Pipeline, promotion: Promotion) -> dict[str, Any]:
    return {"pipeline": pipeline, "tab": "board", **progress(promotion, request.user)}
