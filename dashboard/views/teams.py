"""Teams: the people who own pipelines and apps together."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import access, actions
from dashboard import team_panels as panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def index(request: PageRequest) -> HttpResponse:
    """The viewer's teams, and the form that makes another."""
    form = Form(request, name="")
    if request.method == "POST":
        team = form.attempt(lambda: actions.create_team(form.value("name"), by=request.user))
        if team is not None:
            return go(request, "team", team.name)
    page = Paginator(panels.mine(request.user), panels.PEOPLE).get_page(request.GET.get("page"))
    context = {"tab": "teams", "page": page, "form": form}
    return render(request, "accounts/teams.html", context, status=form.status)


@require_safe
@login_required
def show(request: PageRequest, name: str) -> HttpResponse:
    """A team: what it owns, and how that stands."""
    membership = access.membership_for(request.user, name)
    return render(request, "accounts/team.html", panels.overview(membership, request.GET.get("page")))


@require_safe
@login_required
def activity(request: PageRequest, name: str) -> HttpResponse:
    """What happened in the team, newest first; `?about=people` leaves out what it owns."""
    membership = access.membership_for(request.user, name)
    about = "people" if request.GET.get("about") == "people" else ""
    context = panels.activity(membership, about, request.GET.get("page"))
    return render(request, "accounts/team_activity.html", context)


@require_safe
@login_required
def settings(request: PageRequest, name: str) -> HttpResponse:
    """Its name, leaving it, and its end."""
    return _settings_page(request, name, Form())


@require_POST
@login_required
def rename(request: PageRequest, name: str) -> HttpResponse:
    """Change the team's name."""
    team = access.team_for(request.user, name, to=access.MANAGE)
    form = Form(request, name="")
    if form.attempt(lambda: actions.rename_team(team, form.value("name"), by=request.user)) is None:
        return _settings_page(request, name, form)
    messages.success(request, f"{name} is called {team.name} now.")
    return go(request, "team-settings", team.name)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def delete(request: PageRequest, name: str) -> HttpResponse:
    """Ask for the name, then delete the team; one that owns something stays."""
    membership = access.membership_for(request.user, name, to=access.MANAGE)
    form = Form(request, confirm="")
    if request.method == "POST":
        confirm = form.value("confirm")
        form.attempt(lambda: actions.delete_team(membership.team, confirm=confirm, by=request.user))
        if form.status == 200:
            messages.success(request, f"The team {name} is deleted.")
            return go(request, "teams")
    context = {**panels.frame(membership, "settings"), "form": form}
    return page_or_dialog(request, "accounts/team_removal.html", context, status=form.status)


def _settings_page(request: PageRequest, name: str, form: Form) -> HttpResponse:
    membership = access.membership_for(request.user, name)
    context = {**panels.frame(membership, "settings"), "form": form}
    return render(request, "accounts/team_settings.html", context, status=form.status)
