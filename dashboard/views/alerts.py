"""The bounds that people drew for an app."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from apps import access, alerts
from apps.models import Alert, App
from dashboard import panels
from dashboard.answers import see
from dashboard.app_forms import AlertForm, read
from dashboard.forms import Form
from dashboard.http import PageRequest
from dashboard.words import span

USUAL = {"kind": Alert.Kind.RESPONSE.value, "bound": "1000", "minutes": "5", "text": ""}
KINDS = {
    Alert.Kind.RESPONSE.value: "Response time, p95 in ms",
    Alert.Kind.ERRORS.value: "Failed requests in %",
    Alert.Kind.LOG.value: "Lines in the log",
}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def index(request: PageRequest, name: str) -> HttpResponse:
    """The alerts of an app; draws another one. What is refused comes back as it was typed."""
    posted = request.method == "POST"
    app = access.app_for(request.user, name, to=access.OPERATE if posted else access.VIEW)
    form = Form(request, **USUAL)
    if posted and (alert := form.attempt(lambda: _add(request, app))) is not None:
        messages.success(request, f"There is an alert now: {alert}.")
        return see("app-alerts", app.name)
    context = {
        **panels.frame(app, request.user, "metrics"),
        "alerts": app.alerts.select_related("by"),
        "form": form,
        "kinds": KINDS.items(),
        "choices": [(str(minutes), span(minutes)) for minutes in alerts.MINUTES],
        "mails": bool(settings.MAIL),
    }
    return render(request, "apps/alerts.html", context, status=form.status)


def _add(request: PageRequest, app: App) -> Alert:
    asked = read(AlertForm(request.POST))
    return alerts.add(
        app, asked["kind"], asked["bound"], text=asked["text"], minutes=asked["minutes"], by=request.user
    )


@require_POST
@login_required
def remove(request: PageRequest, name: str, alert_id: UUID) -> HttpResponse:
    """Forget one."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    alert = alerts.remove(app, alert_id, by=request.user)
    messages.success(request, f"Nobody is told any more: {alert}.")
    return see("app-alerts", app.name)
