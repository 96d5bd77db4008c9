"""An app's scheduled jobs: what runs by the clock, when, and what became of it."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from apps import access
from apps.models import App
from core.errors import NotFound
from dashboard import panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from pipelines.access import demand_config, may_see_config
from scheduler import actions, times
from scheduler.models import ScheduledJob

PER_PAGE = 50
FIELDS = {"command": "", "schedule": "", "zone": "UTC", "size": "standard-1x", "overlap": "skip"}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def jobs(request: PageRequest, name: str) -> HttpResponse:
    """The jobs, and the form that adds one."""
    app = _app(request, name, changing=request.method == "POST")
    form = Form(request, **FIELDS)
    if request.method == "POST":
        job = form.attempt(lambda: actions.add_job(app, **_asked(form), by=request.user))
        if job is not None:
            messages.success(request, f"It runs first at {job.next_at:%-d %B, %H:%M} UTC.")
            return go(request, "app-schedule", app.name)
    page = Paginator(ScheduledJob.objects.with_last_run().filter(app=app), PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {**_frame(app, request), "page": page, "form": form}
    return render(request, "schedule/jobs.html", context, status=form.status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def job(request: PageRequest, name: str, job_id: UUID) -> HttpResponse:
    """One job with its runs, and the form that changes it."""
    app = _app(request, name, changing=request.method == "POST")
    found = _job(app, job_id)
    form = Form(request, **{field: getattr(found, field) for field in FIELDS})
    if request.method == "POST":
        form.attempt(lambda: actions.change_job(found, **_asked(form), by=request.user))
        if form.status == 200:
            messages.success(request, "The job is changed.")
            return go(request, "scheduled-job", app.name, found.pk)
    runs = Paginator(found.runs.all(), PER_PAGE).get_page(request.GET.get("page"))
    context = {**_frame(app, request), "job": found, "page": runs, "form": form}
    return render(request, "schedule/job.html", context, status=form.status)


@require_POST
@login_required
def pause(request: PageRequest, name: str, job_id: UUID) -> HttpResponse:
    """Let it rest."""
    app = _app(request, name, changing=True)
    actions.pause_job(_job(app, job_id), True, by=request.user)
    return go(request, "scheduled-job", app.name, job_id)


@require_POST
@login_required
def resume(request: PageRequest, name: str, job_id: UUID) -> HttpResponse:
    """Have it run by the clock again."""
    app = _app(request, name, changing=True)
    actions.pause_job(_job(app, job_id), False, by=request.user)
    return go(request, "scheduled-job", app.name, job_id)


@require_POST
@login_required
def run(request: PageRequest, name: str, job_id: UUID) -> HttpResponse:
    """Run it once, now."""
    app = _app(request, name, changing=True)
    begun = actions.run_now(_job(app, job_id), by=request.user)
    messages.success(request, f"It runs as {begun.dyno_name}.")
    return go(request, "scheduled-job", app.name, job_id)


@require_POST
@login_required
def remove(request: PageRequest, name: str, job_id: UUID) -> HttpResponse:
    """Forget it."""
    app = _app(request, name, changing=True)
    actions.remove_job(_job(app, job_id), by=request.user)
    messages.success(request, "The job is removed.")
    return go(request, "app-schedule", app.name)


def _app(request: PageRequest, name: str, *, changing: bool) -> App:
    """Whoever may run commands in the app may have the clock run them."""
    app = access.app_for(request.user, name, to=access.DEPLOY if changing else access.VIEW)
    if changing:
        demand_config(request.user, app)
    return app


def _job(app: App, job_id: UUID) -> ScheduledJob:
    found = ScheduledJob.objects.select_related("app").filter(app=app, pk=job_id).first()
    if found is None:
        raise NotFound("Couldn't find that job.", resource="job")
    return found


def _asked(form: Form) -> dict[str, str]:
    return {field: form.value(field) for field in FIELDS}


def _frame(app: App, request: PageRequest) -> dict[str, object]:
    return {
        **panels.frame(app, request.user, "resources"),
        "may_change": may_see_config(request.user, app),
        "often": times.OFTEN,
        "sizes": panels.sizes(),
        "overlaps": ScheduledJob.Overlap.choices,
    }
