"""Who may do what with what a person or a team owns."""

from typing import Any

from django.conf import settings
from django.db.models import Count, Q

from accounts.models import Membership, Owned, Team, User
from core.errors import Forbidden, NotFound, Refusal

VIEW, DEPLOY, OPERATE, MANAGE = "view", "deploy", "operate", "manage"
RIGHTS = (VIEW, DEPLOY, OPERATE, MANAGE)

# What a role in the owning team gives; each right is a flag of its own, as on Heroku.
ROLE_RIGHTS = {
    Membership.Role.ADMIN: frozenset(RIGHTS),
    Membership.Role.MEMBER: frozenset({VIEW, DEPLOY, OPERATE}),
    Membership.Role.VIEWER: frozenset({VIEW}),
}


def owned_by(user: User) -> Q:
    """A filter for rows that are `user`'s own or one of their teams'."""
    return Q(user=user) | Q(team__memberships__user=user)


def rights_as_owner(user: User, thing: Owned) -> frozenset[str]:
    """The rights that `user` has in `thing` by owning it, alone or through a team."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if thing.user_id is not None:
        return frozenset(RIGHTS) if thing.user_id == user.pk else frozenset()
    membership = Membership.objects.filter(team=thing.team_id, user=user).first()
    return ROLE_RIGHTS[Membership.Role(membership.role)] if membership else frozenset()


def membership_for(user: User, name: str, *, to: str = VIEW) -> Membership:
    """The membership of `user` in the team called `name` if it lets them `to`; `NotFound` to strangers, `Forbidden`
    to others. Its `people` is how many are in the team."""
    found = Membership.objects.select_related("team").filter(team__name=name, user=user)
    membership = found.annotate(people=Count("team__memberships")).first()
    if membership is None:
        raise NotFound("Couldn't find that team.", resource="team")
    if to not in ROLE_RIGHTS[Membership.Role(membership.role)]:
        raise Forbidden(
            f"You are a {membership.role} of {name}; this needs an admin. {_whom(membership.team)}"
        )
    return membership


def _whom(team: Team) -> str:
    """Who can help, by name: everybody who may read this is in the team with them."""
    admins = team.members.filter(
        memberships__role=Membership.Role.ADMIN, memberships__team=team, is_active=True
    )
    return f"Ask {' or '.join(admin.get_full_name() for admin in admins.distinct()[:3])}."


def team_for(user: User, name: str, *, to: str = VIEW) -> Team:
    """The team called `name` if `user` is in it and may `to`; refused as `membership_for` does."""
    return membership_for(user, name, to=to).team


def owner_for(user: User, team_name: str | None) -> User | Team:
    """Who a new thing will belong to: `user`, or the team called `team_name` that lets them create things."""
    return team_for(user, team_name, to=DEPLOY) if team_name else user


def demand(rights: frozenset[str], to: str, *, what: str, resource: str, name: Any = "") -> None:
    """Raise `NotFound` for who may not even view, `Forbidden` for who lacks `to`."""
    if VIEW not in rights:
        raise NotFound(f"Couldn't find that {what}.", resource=resource)
    if to not in rights:
        raise Forbidden(
            f"You do not have the right to {to} {name or 'this ' + what}. Ask someone who manages it."
        )


def managers_of(owner: User | Team) -> list[User]:
    """Who is told of what belongs to `owner`: that person, or the team's admins."""
    if isinstance(owner, User):
        return [owner]
    admins = Membership.objects.filter(team=owner, role=Membership.Role.ADMIN, user__is_active=True)
    return [row.user for row in admins.select_related("user").order_by("created_at")]


def whom_to_ask() -> str:
    """How a sentence begins that sends people to an operator."""
    return (
        f"Ask an operator of this Slipway ({settings.CONTACT})"
        if settings.CONTACT
        else "Ask an operator of this Slipway"
    )


def demand_not_suspended(*things: Any) -> None:
    """`Forbidden` while an operator has one of `things`, apps and teams, suspended."""
    for thing in things:
        if getattr(thing, "suspended_at", None):
            raise Forbidden(
                f"{thing} is suspended by an operator. {whom_to_ask()} to reinstate it.",
                id="suspended",
            )


def new_owner(by: User, text: str) -> User | Team:
    """The person (by e-mail) or team (by name) that `by` hands something to; `Refusal` when there is none."""
    if "@" in text:
        user = User.objects.filter(email__iexact=text, is_active=True).first()
        if user is None:
            raise Refusal(
                f"Nobody here has the address {text}.", fields={"owner": "Nobody has this address."}
            )
        return user
    return team_for(by, text, to=DEPLOY)
