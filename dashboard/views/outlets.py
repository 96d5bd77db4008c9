"""Where an app's log and news of it go."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from apps import access, drains
from apps.models import App
from dashboard import outlets
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from hooks import actions as hook_actions


@require_safe
@login_required
def show(request: PageRequest, name: str) -> HttpResponse:
    """Log drains, webhooks, and their last deliveries."""
    return _page(request, access.app_for(request.user, name, to=access.OPERATE), Form())


@require_POST
@login_required
def add_drain(request: PageRequest, name: str) -> HttpResponse:
    """Send the log, from now on, to one more place."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    form = Form(request, drain="")

    def add() -> object:
        with form.naming("drain"):
            return drains.add_drain(app, form.value("drain"), by=request.user)

    if form.attempt(add) is None:
        return _page(request, app, form)
    messages.success(request, "What the log says from now on goes there too.")
    return go(request, "outlets", app.name, fragment="drains")


@require_POST
@login_required
def remove_drain(request: PageRequest, name: str, drain_id: uuid.UUID) -> HttpResponse:
    """Send nothing more to a drain."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    drains.remove_drain(get_object_or_404(app.log_drains, pk=drain_id), by=request.user)
    messages.success(request, "The log does not go there any more.")
    return go(request, "outlets", app.name, fragment="drains")


@require_POST
@login_required
def add_webhook(request: PageRequest, name: str) -> HttpResponse:
    """Have a URL told of what happens. The answer is the only place where its secret ever stands."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    form = Form(request, url="", level="", include="")
    hook = form.attempt(
        lambda: hook_actions.add_webhook(
            app,
            include=request.POST.getlist("include"),
            level=form.value("level"),
            url=form.value("url"),
            by=request.user,
        )
    )
    if hook is None:
        return _page(request, app, form)
    return _page(request, app, Form(), made=hook, secret=hook.secret)


@require_POST
@login_required
def remove_webhook(request: PageRequest, name: str, webhook_id: uuid.UUID) -> HttpResponse:
    """Tell a webhook nothing more."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    hook_actions.remove_webhook(hook_actions.webhook_of(app, str(webhook_id)), by=request.user)
    messages.success(request, "It is told nothing more, of what waited to be delivered neither.")
    return go(request, "outlets", app.name, fragment="webhooks")


def _page(request: PageRequest, app: App, form: Form, **made: object) -> HttpResponse:
    chosen = request.POST.getlist("include") if form.status != 200 else ["api:release"]
    context = {**outlets.of(app, request.user), "form": form, "chosen": chosen, **made}
    return render(request, "apps/outlets.html", context, status=form.status)
