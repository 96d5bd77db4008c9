"""Teams: who is in them, who is invited, and who has rights in their apps."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status

from accounts import access, actions, invitations, two_factor
from accounts.models import Invitation, Membership, Team, User
from api.asker import asker
from api.http import ranged
from api.resources import apps as app_resources
from api.shapes.base import Named, Time
from api.shapes.catalog import FeatureOut
from api.shapes.people import CollaboratorOut, Permission, PersonName, TeamOut, role_word
from apps import access as app_access
from apps import actions as app_actions
from core import names
from core.errors import Conflict, NotFound, Refusal

router = Router(tags=["Teams"])

# What the CLI asks about before it invites people or sets rights one by one: both are so, always.
FEATURES = {
    "team-invite-acceptance": "People join a team by accepting an invitation.",
    "org-access-controls": "Rights in an app are given one by one.",
}
RIGHTS = {
    "view": "See the app, its builds, releases and dynos",
    "deploy": "Push, build, promote, roll back and change config vars",
    "operate": "Read logs, scale, restart, turn on maintenance",
    "manage": "Rename, hand over, share and destroy the app",
}


class MemberOut(Schema):
    """A person in a team."""

    id: Any
    email: str
    role: str
    user: PersonName
    federated: bool = False
    identity_provider: None = None
    two_factor_authentication: bool
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Membership) -> "MemberOut":
        return cls(
            id=row.user_id,
            email=row.user.email,
            role=role_word(row.role),
            user=PersonName.of(row.user),
            two_factor_authentication=bool(getattr(row, "has_factor", False)),
            created_at=row.created_at,
            updated_at=row.created_at,
        )


class InvitationOut(Schema):
    """An offer to join a team."""

    id: Any
    team: Named
    role: str
    user: dict[str, Any]
    invited_by: PersonName | None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Invitation) -> "InvitationOut":
        return cls(
            id=row.pk,
            team=Named(id=row.team_id, name=row.team.name),
            role=role_word(row.role),
            # Whether the address has an account here is nobody's business before they accept.
            user={"id": str(names.fixed("invited", row.email)), "email": row.email, "name": None},
            invited_by=PersonName.of(row.by) if row.by else None,
            created_at=row.created_at,
            updated_at=row.created_at,
        )


class MemberIn(Schema):
    """A person and their role: admin, member or viewer (`collaborator` is taken for viewer)."""

    email: str
    role: str = "member"

    @property
    def own_role(self) -> str:
        """The role as Slipway knows it."""
        role = "viewer" if self.role == "collaborator" else self.role
        if role not in Membership.Role.values:
            raise Refusal(f"A role is one of {', '.join(Membership.Role.values)}.")
        return role


class TeamIn(Schema):
    """A new team. Whose card pays for it, which Heroku's clients tell as well, nobody asks here."""

    name: str


class TeamChange(Schema):
    """What of a team can be changed; what is absent stays."""

    name: str | None = None


class CollaboratorIn(Schema):
    """A person, and which rights they shall have."""

    user: str
    permissions: list[str] | None = None
    silent: bool = False


class RightsIn(Schema):
    """Which rights a person shall have."""

    permissions: list[str]


@router.get("/teams/permissions", response=list[Permission])
def permissions(request: HttpRequest) -> list[Permission]:
    """The rights that can be given in an app."""
    return [Permission(name=name, description=text) for name, text in RIGHTS.items()]


@router.post("/teams/apps/{app}/collaborators", response={201: CollaboratorOut})
def share(request: HttpRequest, app: str, body: CollaboratorIn) -> Status[CollaboratorOut]:
    """Give a person rights in a team's app; or join it: a member who has joined keeps the rights of their role in it."""
    by = asker(request)
    found = app_access.app_for(by, app)
    if body.user.lower() == by.email and body.permissions is None and found.team:
        return Status(201, app_resources.joined(found, app_actions.join(found, by=by)))
    return app_resources.share_with(found, body.user, body.permissions, by)


@router.get(
    "/teams/apps/{app}/collaborators", response={200: list[CollaboratorOut], 206: list[CollaboratorOut]}
)
def shared_with(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[CollaboratorOut]]:
    """Who a team's app is shared with, beside its members."""
    return app_resources.collaborators(request, response, app)


@router.get("/teams/apps/{app}/collaborators/{ref}", response=CollaboratorOut)
def collaborator(request: HttpRequest, app: str, ref: str) -> CollaboratorOut:
    """One person with rights in a team's app, by address or id."""
    return app_resources.collaborator(request, app, ref)


@router.delete("/teams/apps/{app}/collaborators/{ref}", response=CollaboratorOut)
def unshare(request: HttpRequest, app: str, ref: str) -> CollaboratorOut:
    """Take a person's rights in a team's app away; anyone may take away their own."""
    return app_resources.unshare(request, app, ref)


@router.patch("/teams/apps/{app}/collaborators/{ref}", response=CollaboratorOut)
def change_rights(request: HttpRequest, app: str, ref: str, body: RightsIn) -> CollaboratorOut:
    """Give a person other rights in a team's app."""
    by = asker(request)
    found = app_access.app_for(by, app, to=app_access.MANAGE)
    row = app_resources.collaborator_of(found, ref)
    return CollaboratorOut.of(app_actions.share(found, row.user, body.permissions, by=by))


@router.get("/teams", response={200: list[TeamOut], 206: list[TeamOut]})
def index(request: HttpRequest, response: HttpResponse) -> Status[list[TeamOut]]:
    """The teams that the asker is in."""
    rows = Membership.objects.filter(user=asker(request)).select_related("team")
    return ranged(request, response, rows, TeamOut.of)


@router.post("/teams", response={201: TeamOut})
def create(request: HttpRequest, body: TeamIn) -> Status[TeamOut]:
    """Make a team, with the asker as its admin."""
    by = asker(request)
    return Status(201, _own(actions.create_team(body.name, by=by), by))


@router.patch("/teams/{ref}", response=TeamOut)
def update(request: HttpRequest, ref: str, body: TeamChange) -> TeamOut:
    """Rename a team."""
    by = asker(request)
    team = _team(by, ref, to=access.MANAGE)
    if body.name and body.name != team.name:
        actions.rename_team(team, body.name, by=by)
    return _own(team, by)


@router.delete("/teams/{ref}", response=TeamOut)
def delete(request: HttpRequest, ref: str) -> TeamOut:
    """Delete a team that owns nothing any more."""
    by = asker(request)
    team = _team(by, ref, to=access.MANAGE)
    answer = _own(team, by)
    actions.delete_team(team, confirm=team.name, by=by)
    return answer


@router.get("/teams/{ref}", response=TeamOut)
def info(request: HttpRequest, ref: str) -> TeamOut:
    """One team that the asker is in, by name or id."""
    by = asker(request)
    return _own(_team(by, ref), by)


@router.get("/teams/{ref}/features", response=list[FeatureOut])
def features(request: HttpRequest, ref: str) -> list[FeatureOut]:
    """What a team can do, which is the same for all."""
    _team(asker(request), ref)
    return [FeatureOut.fixed("team", name, text, enabled=True) for name, text in FEATURES.items()]


@router.get("/teams/{ref}/features/{feature}", response=FeatureOut)
def feature(request: HttpRequest, ref: str, feature: str) -> FeatureOut:
    """One of them."""
    for found in features(request, ref):
        if feature in (found.name, str(found.id)):
            return found
    raise NotFound("Couldn't find that team feature.", resource="team_feature")


@router.get("/teams/{ref}/members", response={200: list[MemberOut], 206: list[MemberOut]})
def members(request: HttpRequest, response: HttpResponse, ref: str) -> Status[list[MemberOut]]:
    """Who is in a team."""
    rows = _members(_team(asker(request), ref))
    return ranged(request, response, rows, MemberOut.of)


@router.put("/teams/{ref}/members", response=MemberOut)
def set_member(request: HttpRequest, ref: str, body: MemberIn) -> MemberOut:
    """Give a member another role; who is not in the team yet has to be invited first."""
    return _set_role(request, ref, body)


@router.post("/teams/{ref}/members", response=MemberOut)
def add_member(request: HttpRequest, ref: str, body: MemberIn) -> MemberOut:
    """The same as PUT: give a member another role."""
    return _set_role(request, ref, body)


@router.patch("/teams/{ref}/members", response=MemberOut)
def change_member(request: HttpRequest, ref: str, body: MemberIn) -> MemberOut:
    """The same as PUT: give a member another role."""
    return _set_role(request, ref, body)


@router.delete("/teams/{ref}/members/{member}", response=MemberOut)
def remove_member(request: HttpRequest, ref: str, member: str) -> MemberOut:
    """Take a person out of a team; anyone may leave."""
    by = asker(request)
    own = member.lower() in (by.email, str(by.pk))
    team = _team(by, ref, to=access.VIEW if own else access.MANAGE)
    row = _member(team, member)
    answer = MemberOut.of(row)
    actions.remove_member(team, row.user, by=by)
    return answer


@router.get("/teams/{ref}/invitations", response={200: list[InvitationOut], 206: list[InvitationOut]})
def invited(request: HttpRequest, response: HttpResponse, ref: str) -> Status[list[InvitationOut]]:
    """Who is invited, and has not accepted yet."""
    team = _team(asker(request), ref, to=access.MANAGE)
    rows = team.invitations.open().select_related("team", "by")
    return ranged(request, response, rows, InvitationOut.of)


@router.put("/teams/{ref}/invitations", response=InvitationOut)
def invite(request: HttpRequest, response: HttpResponse, ref: str, body: MemberIn) -> InvitationOut:
    """Invite a person by their address. Where this Slipway sends no mail, the link is in the warning of the answer."""
    by = asker(request)
    team = _team(by, ref, to=access.MANAGE)
    role = body.own_role
    open_one = team.invitations.open().filter(email__iexact=body.email).select_related("team", "by").first()
    if open_one and open_one.role == role:
        return InvitationOut.of(open_one)
    if open_one:
        raise Conflict(
            f"{open_one.email} is invited as {role_word(open_one.role)} already. Withdraw that first: "
            f"heroku members:remove {open_one.email} --team {team.name}"
        )
    invitation, secret = invitations.invite(team, body.email, role, by=by)
    if not invitations.send(invitation, secret):
        response.headers["Warning-Message"] = (
            f"No mail was sent. Give {invitation.email} this link: {invitations.link(secret)}"
        )
    return InvitationOut.of(invitation)


@router.delete("/teams/{ref}/invitations/{email}", response=InvitationOut)
def withdraw(request: HttpRequest, ref: str, email: str) -> InvitationOut:
    """Take an invitation back."""
    by = asker(request)
    team = _team(by, ref, to=access.MANAGE)
    rows = team.invitations.pending().select_related("team", "by")
    row = next((row for row in rows if email.lower() in (row.email, str(row.pk))), None)
    if row is None:
        raise NotFound("Couldn't find that invitation.", resource="invitation")
    answer = InvitationOut.of(row)
    invitations.withdraw(row, by=by)
    return answer


def _set_role(request: HttpRequest, ref: str, body: MemberIn) -> MemberOut:
    by = asker(request)
    team = _team(by, ref, to=access.MANAGE)
    row = _member(team, body.email)
    actions.set_role(team, row.user, body.own_role, by=by)
    return MemberOut.of(_member(team, body.email))


def _own(team: Team, by: User) -> TeamOut:
    return TeamOut.of(Membership.objects.select_related("team").get(team=team, user=by))


def _team(by: User, ref: str, *, to: str = access.VIEW) -> Team:
    """The team by name or id, for `by` to `to`."""
    mine = Membership.objects.filter(user=by).select_related("team")
    name = next((row.team.name for row in mine if str(row.team_id) == ref), ref)
    return access.team_for(by, name, to=to)


def _members(team: Team) -> "QuerySet[Membership]":
    return two_factor.with_factor(team.memberships.select_related("user"))


def _member(team: Team, ref: str) -> Membership:
    rows = _members(team)
    row = next((row for row in rows if ref.lower() in (row.user.email, str(row.user_id))), None)
    if row is None:
        raise NotFound(f"{ref} is not in {team.name}. Invite them first.", resource="team_member")
    return row
