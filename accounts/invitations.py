"""Invitations into teams: offered to one address, accepted once, by whoever has it (promise I-35)."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import actions
from accounts.models import Invitation, Membership, Team, User
from core import activity, live, secrets
from core.errors import Conflict, Forbidden, NotFound, Refusal

log = logging.getLogger(__name__)
DAYS = 7
MOST = 50  # that wait, of one team: mails that somebody can cause have an end
RANKS = (Membership.Role.VIEWER, Membership.Role.MEMBER, Membership.Role.ADMIN)


@transaction.atomic
def invite(team: Team, email: str, role: str, *, by: User) -> tuple[Invitation, str]:
    """Offer the holder of an address a place in `team`; returns the offer and the secret of its link, which is
    never to be seen again. Known and unknown addresses are treated alike."""
    email = _address(email)
    _demand_rank(team, role, by)
    if team.members.filter(email__iexact=email).exists():
        raise Refusal(f"{email} is in {team.name} already.", fields={"email": "They are in already."})
    _let_go_of_the_expired(team, email)
    if team.invitations.pending().count() >= MOST:
        raise Refusal(f"{MOST} invitations wait to be accepted. Withdraw those that nobody will accept.")
    secret = secrets.new_token("invite")
    try:
        with transaction.atomic():
            invitation = Invitation.objects.create(
                team=team, email=email, role=role, digest=secrets.digest(secret), by=by, expires_at=_end()
            )
    except IntegrityError as error:
        said = f"{email} has an invitation already. Send a new link, or withdraw it first."
        raise Conflict(said, fields={"email": said}) from error
    _record(by, "created", invitation, what=f"as {role}")
    return invitation, secret


@transaction.atomic
def renew(invitation: Invitation, *, by: User) -> str:
    """Make a new link, good for another 7 days; returns its secret. The old one is void at once."""
    _demand_rank(invitation.team, invitation.role, by)
    secret = secrets.new_token("invite")
    still = Invitation.objects.pending().filter(pk=invitation.pk)
    if not still.update(digest=secrets.digest(secret), expires_at=_end(), by=by):
        raise Conflict(f"The invitation of {invitation.email} was accepted or withdrawn meanwhile.")
    invitation.refresh_from_db()
    _record(by, "renewed", invitation)
    return secret


@transaction.atomic
def withdraw(invitation: Invitation, *, by: User) -> None:
    """Take an offer back; its link is void at once."""
    still = Invitation.objects.pending().filter(pk=invitation.pk)
    if not still.update(withdrawn_at=timezone.now()):
        raise Conflict(f"The invitation of {invitation.email} was accepted or withdrawn meanwhile.")
    _record(by, "withdrew", invitation)


def find(secret: str) -> Invitation | None:
    """The invitation with this secret while it can be accepted: whoever made it may still make it."""
    rows = Invitation.objects.open().select_related("team", "by")
    invitation = rows.filter(digest=secrets.digest(secret)).first()
    return invitation if invitation is not None and _still_meant(invitation) else None


@transaction.atomic
def accept(secret: str, *, by: User) -> Membership:
    """Join the team. Of several tries one succeeds. Who is in already keeps the role if it is the higher one."""
    invitation = _spend(secret)
    if by.email.lower() != invitation.email:
        raise Forbidden(f"This invitation is for {invitation.email}. You are signed in as {by.email}.")
    return _let_in(invitation, by)


@transaction.atomic
def sign_up(secret: str, *, name: str, password: str) -> User:
    """Make the account of the invited address, in the team from the start. The link stays good when it is refused."""
    invitation = _spend(secret)
    user = actions.create_user(invitation.email, password, by=None, name=name)
    _let_in(invitation, user)
    return user


@transaction.atomic
def sign_up_vouched(emails: Iterable[str], *, name: str) -> User | None:
    """Make the account of an invited address that another service vouches for as the newcomer's own, without a
    password; None when none of `emails` is invited, or it has an account. Every team that invited it lets them in."""
    for email in {one.lower() for one in emails}:
        open_ = Invitation.objects.open().select_related("team", "by").filter(email=email)
        meant = [one for one in open_.select_for_update(of=("self",)) if _still_meant(one)]
        if not meant or User.objects.filter(email__iexact=email).exists():
            continue
        user = User.objects.create_user(email, None, name=name[:100])
        activity.record(None, "created", user)
        for invitation in meant:
            Invitation.objects.filter(pk=invitation.pk).update(accepted_at=timezone.now())
            _let_in(invitation, user)
        return user
    return None


def send(invitation: Invitation, secret: str) -> bool:
    """Mail the link to the address it is for. False when this Slipway sends no mail, or the mail server took none."""
    if not settings.MAIL:
        return False
    by = " ".join(invitation.by.get_full_name().split()) if invitation.by else "Someone"
    text = render_to_string(
        "accounts/invitation.txt", {"invitation": invitation, "by": by, "link": link(secret), "days": DAYS}
    )
    try:
        send_mail(f"{by} invites you to {invitation.team.name} on Slipway", text, None, [invitation.email])
    except OSError:  # every failure of SMTP is one
        log.warning("The invitation of %s could not be mailed", invitation.pk, exc_info=True)
        return False
    return True


def link(secret: str) -> str:
    """The address to give to the person who is invited."""
    return str(settings.URL) + reverse("invitation", args=[secret], urlconf=settings.ROOT_URLCONF)


def _spend(secret: str) -> Invitation:
    mine = Invitation.objects.open().filter(digest=secrets.digest(secret))
    spent = mine.update(accepted_at=timezone.now())
    invitation = Invitation.objects.select_related("team", "by").filter(digest=secrets.digest(secret)).first()
    if not spent or invitation is None or not _still_meant(invitation):
        raise NotFound("This invitation no longer works. Ask for a new one.")
    return invitation


def _let_in(invitation: Invitation, user: User) -> Membership:
    Invitation.objects.filter(pk=invitation.pk).update(accepted_by=user)
    membership, created = Membership.objects.select_for_update().get_or_create(
        team=invitation.team, user=user, defaults={"role": invitation.role}
    )
    if not created and _rank(membership.role) < _rank(invitation.role):
        membership.role = invitation.role
        membership.save(update_fields=["role"])
    _record(user, "accepted", invitation, what=f"as {membership.role}")
    live.tell(f"user:{user.pk}")
    return membership


def _still_meant(invitation: Invitation) -> bool:
    """Nobody gets in by the word of someone who could not let them in today."""
    by = invitation.by
    if by is None or not by.is_active:
        return False
    role = Membership.objects.filter(team=invitation.team, user=by).values_list("role", flat=True).first()
    return role == Membership.Role.ADMIN and _rank(role) >= _rank(invitation.role)


def _demand_rank(team: Team, role: str, by: User) -> None:
    if role not in Membership.Role.values:
        raise Refusal("Choose a role.", fields={"role": "Choose a role."})
    own = Membership.objects.filter(team=team, user=by).values_list("role", flat=True).first()
    if own != Membership.Role.ADMIN or _rank(own) < _rank(role):
        raise Forbidden(f"Inviting people needs an admin of {team.name}.")


def _rank(role: str) -> int:
    return RANKS.index(Membership.Role(role))


def _address(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        said = "This is not an e-mail address."
        raise Refusal(said, fields={"email": said}) from error
    return email


def _let_go_of_the_expired(team: Team, email: str) -> None:
    """An offer that ran out is none: it must not stand in the way of a new one."""
    now = timezone.now()
    team.invitations.pending().filter(email=email, expires_at__lte=now).update(withdrawn_at=now)


def _record(by: User, verb: str, invitation: Invitation, **details: str) -> None:
    activity.record(by, verb, invitation, team=str(invitation.team_id), **details)


def _end() -> datetime:
    return timezone.now() + timedelta(days=DAYS)
