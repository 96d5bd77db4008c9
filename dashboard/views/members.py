"""Who is in a team and who is invited."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import access, actions, invitations
from accounts.models import Invitation, Membership, Team
from dashboard import team_panels as panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog


@require_safe
@login_required
def members(request: PageRequest, name: str) -> HttpResponse:
    """The people of the team; to those who manage it also the invitations that are open."""
    return _page(request, access.membership_for(request.user, name), Form(role=Membership.Role.MEMBER))


@require_POST
@login_required
def change_role(request: PageRequest, name: str, user_id: uuid.UUID) -> HttpResponse:
    """Let a member do more, or less."""
    team = access.team_for(request.user, name, to=access.MANAGE)
    member = _member(team, user_id).user
    actions.set_role(team, member, request.POST.get("role", ""), by=request.user)
    messages.success(request, f"{member.get_full_name()} is {request.POST['role']} of {team.name} now.")
    return go(request, "members", team.name)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def remove(request: PageRequest, name: str, user_id: uuid.UUID) -> HttpResponse:
    """Say what it means, then take a person out of the team; anybody may leave by themselves."""
    leaving = user_id == request.user.pk
    mine = access.membership_for(request.user, name, to=access.VIEW if leaving else access.MANAGE)
    member = _member(mine.team, user_id).user
    form = Form()
    if request.method == "POST":
        form.attempt(lambda: actions.remove_member(mine.team, member, by=request.user))
        if form.status == 200:
            who = "You are" if leaving else f"{member.get_full_name()} is"
            messages.success(request, f"{who} no longer in {mine.team.name}.")
            return go(request, "teams") if leaving else go(request, "members", mine.team.name)
    context = {**panels.frame(mine, "members"), "member": member, "leaving": leaving, "form": form}
    return page_or_dialog(request, "accounts/member_removal.html", context, status=form.status)


@require_POST
@login_required
def invite(request: PageRequest, name: str) -> HttpResponse:
    """Invite somebody by e-mail address. The answer is the only place where the link ever stands."""
    mine = access.membership_for(request.user, name, to=access.MANAGE)
    form = Form(request, email="", role="")
    made = form.attempt(
        lambda: invitations.invite(mine.team, form.value("email"), form.value("role"), by=request.user)
    )
    if made is None:
        return _page(request, mine, form)
    return _offered(request, mine, *made)


@require_POST
@login_required
def renew(request: PageRequest, name: str, invitation_id: uuid.UUID) -> HttpResponse:
    """Make a new link for an invitation; the old one is void."""
    mine = access.membership_for(request.user, name, to=access.MANAGE)
    invitation = _invitation(mine.team, invitation_id)
    return _offered(request, mine, invitation, invitations.renew(invitation, by=request.user))


@require_POST
@login_required
def withdraw(request: PageRequest, name: str, invitation_id: uuid.UUID) -> HttpResponse:
    """Take an invitation back."""
    team = access.team_for(request.user, name, to=access.MANAGE)
    invitation = _invitation(team, invitation_id)
    invitations.withdraw(invitation, by=request.user)
    messages.success(request, f"The invitation of {invitation.email} is withdrawn. Its link no longer works.")
    return go(request, "members", team.name)


def _offered(request: PageRequest, mine: Membership, invitation: Invitation, secret: str) -> HttpResponse:
    mailed = invitations.send(invitation, secret)
    made = {"made": invitation, "link": invitations.link(secret), "mailed": mailed}
    return _page(request, mine, Form(role=Membership.Role.MEMBER), **made)


def _page(request: PageRequest, mine: Membership, form: Form, **made: object) -> HttpResponse:
    context = {**panels.people(mine, request.GET.get("page")), "form": form, **made}
    return render(request, "accounts/members.html", context, status=form.status)


def _member(team: Team, user_id: uuid.UUID) -> Membership:
    return get_object_or_404(team.memberships.select_related("user"), user_id=user_id)


def _invitation(team: Team, invitation_id: uuid.UUID) -> Invitation:
    return get_object_or_404(team.invitations.pending().select_related("team"), pk=invitation_id)
