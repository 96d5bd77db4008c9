"""Teams: the people who own pipelines and apps together."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, F
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import access, actions
from accounts.models import Membership, Team, User
from apps.models import App
from core.errors import Refusal
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from pipelines.models import Pipeline


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def index(request: PageRequest) -> HttpResponse:
    """The viewer's teams, and the form that makes another."""
    form = Form(request, name="")
    if request.method == "POST":
        team = form.attempt(lambda: actions.create_team(form.value("name"), by=request.user))
        if team is not None:
            return go(request, "team", team.name)
    mine = Membership.objects.filter(user=request.user).order_by("team__name")
    mine = mine.annotate(name=F("team__name"), members=Count("team__memberships"))
    context = {"tab": "teams", "memberships": mine, "form": form}
    return render(request, "accounts/teams.html", context, status=form.status)


@require_safe
@login_required
def show(request: PageRequest, name: str) -> HttpResponse:
    """A team: who is in it, and what it owns."""
    return _team_page(request, access.team_for(request.user, name), Form(role=Membership.Role.MEMBER))


@require_POST
@login_required
def add_member(request: PageRequest, name: str) -> HttpResponse:
    """Put a person with an account into the team."""
    team = access.team_for(request.user, name, to=access.MANAGE)
    form = Form(request, email="", role="")
    added = form.attempt(lambda: _add(request, team, form))
    if added is None:
        return _team_page(request, team, form)
    return go(request, "team", team.name)


def _add(request: PageRequest, team: Team, form: Form) -> Membership:
    user = User.objects.filter(email__iexact=form.value("email"), is_active=True).first()
    if user is None:
        said = "Nobody here has this address. Whoever runs this Slipway makes accounts."
        raise Refusal(said, fields={"email": said})
    if Membership.objects.filter(team=team, user=user).exists():
        raise Refusal(f"{user.email} is in {team.name} already.", fields={"email": "They are in already."})
    return actions.set_role(team, user, form.value("role"), by=request.user)


@require_POST
@login_required
def change_role(request: PageRequest, name: str, user_id: uuid.UUID) -> HttpResponse:
    """Let a member do more, or less."""
    team = access.team_for(request.user, name, to=access.MANAGE)
    member = get_object_or_404(team.memberships.select_related("user"), user_id=user_id).user
    actions.set_role(team, member, request.POST.get("role", ""), by=request.user)
    messages.success(request, f"{member.get_full_name()} is a {request.POST['role']} of {team.name} now.")
    return go(request, "team", team.name)


@require_POST
@login_required
def remove_member(request: PageRequest, name: str, user_id: uuid.UUID) -> HttpResponse:
    """Take a person out of the team; anybody may leave by themselves."""
    leaving = user_id == request.user.pk
    team = access.team_for(request.user, name, to=access.VIEW if leaving else access.MANAGE)
    member = get_object_or_404(team.memberships.select_related("user"), user_id=user_id).user
    actions.remove_member(team, member, by=request.user)
    messages.success(request, f"{member.get_full_name()} is no longer in {team.name}.")
    return go(request, "teams") if leaving else go(request, "team", team.name)


def _team_page(request: PageRequest, team: Team, form: Form) -> HttpResponse:
    memberships = team.memberships.select_related("user").order_by("user__name", "user__email")
    mine = next((m for m in memberships if m.user_id == request.user.pk), None)
    rights = access.ROLE_RIGHTS[Membership.Role(mine.role)] if mine else frozenset()
    context = {
        "tab": "teams",
        "team": team,
        "memberships": memberships,
        "roles": Membership.Role.values,
        "may_manage": access.MANAGE in rights,
        "pipelines": Pipeline.objects.filter(team=team),
        "apps": App.objects.alive().filter(team=team),
        "form": form,
    }
    return render(request, "accounts/team.html", context, status=form.status)
