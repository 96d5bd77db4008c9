"""Where news of a pipeline goes, and what a person is mailed."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard import notification_panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from notices import actions
from pipelines import access
from pipelines.models import Pipeline

# --- channels of a pipeline ---------------------------------------------------------------------------------------------


@require_safe
@login_required
def of_pipeline(request: PageRequest, name: str) -> HttpResponse:
    """Its channels; who may not manage the pipeline sees them without where they are."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    return _channels(request, pipeline, Form(), rights=rights)


@sensitive_post_parameters()
@require_POST
@login_required
def add_channel(request: PageRequest, name: str) -> HttpResponse:
    """Have one more place told. An address that is turned down is given back: only who typed it sees it."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form = Form(request, name="", kind="", address="", events="")
    made = form.attempt(
        lambda: actions.add_channel(
            pipeline,
            name=form.value("name"),
            kind=form.value("kind"),
            address=form.value("address"),
            events=request.POST.getlist("events"),
            by=request.user,
        )
    )
    if made is None:
        return _channels(request, pipeline, form)
    messages.success(
        request, f"{made.name} is told from now on. Send a test message to see that it gets there."
    )
    return go(request, "pipeline-notifications", pipeline.name, fragment=f"channel-{made.pk}")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def channel(request: PageRequest, name: str, channel_id: uuid.UUID) -> HttpResponse:
    """What a channel is called, where it is, what it is told of."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    found = actions.channel_of(pipeline, channel_id)
    form = Form(request, name=found.name, address="", events="")
    if request.method == "POST":
        changed = form.attempt(
            lambda: actions.change_channel(
                found,
                name=form.value("name"),
                address=form.value("address") or None,
                events=request.POST.getlist("events"),
                by=request.user,
            )
        )
        if changed is not None:
            messages.success(request, f"{changed.name} is saved.")
            return go(request, "pipeline-notifications", pipeline.name, fragment=f"channel-{changed.pk}")
    chosen = request.POST.getlist("events") if request.method == "POST" else found.events
    context = notification_panels.channel_context(pipeline, found, chosen)
    return render(request, "notifications/channel.html", {**context, "form": form}, status=form.status)


@require_POST
@login_required
def remove_channel(request: PageRequest, name: str, channel_id: uuid.UUID) -> HttpResponse:
    """Tell it nothing more."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    found = actions.channel_of(pipeline, channel_id)
    actions.remove_channel(found, by=request.user)
    messages.success(request, f"{found.name} is told nothing more.")
    return go(request, "pipeline-notifications", pipeline.name)


@require_POST
@login_required
def test_channel(request: PageRequest, name: str, channel_id: uuid.UUID) -> HttpResponse:
    """Send it a message that says that it is told."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    found = actions.channel_of(pipeline, channel_id)
    actions.test_channel(found, by=request.user)
    messages.success(request, f"A test message is on its way to {found.name}.")
    return go(request, "pipeline-notifications", pipeline.name, fragment=f"channel-{found.pk}")


def _channels(
    request: PageRequest, pipeline: Pipeline, form: Form, *, rights: frozenset[str] | None = None
) -> HttpResponse:
    rights = access.rights_in(request.user, pipeline) if rights is None else rights
    chosen = request.POST.getlist("events") if request.method == "POST" else None
    context = notification_panels.channels_context(pipeline, request.user, rights, chosen)
    return render(request, "notifications/pipeline.html", {**context, "form": form}, status=form.status)


# --- what a person is mailed -------------------------------------------------------------------------------------------


@require_safe
@login_required
def of_account(request: PageRequest) -> HttpResponse:
    """What waits for one, and what went wrong in one's apps, newest first."""
    return render(request, "notifications/account.html", notification_panels.told_context(request.user))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def mails(request: PageRequest) -> HttpResponse:
    """What is mailed of all pipelines, and of those that something else is said of."""
    form = Form(request)
    if request.method == "POST" and _prefer(request, form, None):
        messages.success(request, "What you are mailed is saved.")
        return go(request, "account-mails")
    context = notification_panels.mails_context(request.user, request.GET.get("pipeline", "")[:60])
    return render(request, "notifications/mails.html", {**context, "form": form}, status=form.status)


@require_POST
@login_required
def of_one(request: PageRequest, pipeline_name: str) -> HttpResponse:
    """Be mailed of one pipeline something else than of all others."""
    pipeline = access.pipeline_for(request.user, pipeline_name)
    form = Form(request)
    if not _prefer(request, form, pipeline):
        context = notification_panels.mails_context(request.user, pipeline.name)
        return render(request, "notifications/mails.html", {**context, "form": form}, status=form.status)
    messages.success(request, f"What you are mailed of {pipeline.name} is saved.")
    return go(request, "account-mails", fragment=f"of-{pipeline.name}")


@require_POST
@login_required
def forget(request: PageRequest, pipeline_name: str) -> HttpResponse:
    """Be mailed of it what one is mailed of all."""
    pipeline = access.pipeline_for(request.user, pipeline_name)
    actions.prefer_nothing_else(request.user, pipeline, by=request.user)
    messages.success(request, f"{pipeline.name} is as all other pipelines again.")
    return go(request, "account-mails")


def _prefer(request: PageRequest, form: Form, pipeline: Pipeline | None) -> bool:
    made = form.attempt(
        lambda: actions.prefer(
            request.user,
            pipeline,
            email="email" in request.POST,
            events=request.POST.getlist("events"),
            summary="summary" in request.POST,
            by=request.user,
        )
    )
    return made is not None
