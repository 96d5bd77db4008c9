"""What happens to people, teams and tokens."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from accounts.models import ApiToken, Membership, SignInLink, Team, User
from core import activity, live, names, secrets, space
from core.errors import NotFound, Refusal

LINK_HOURS = 24
MOST_TOKEN_DAYS = 3650


def create_user(
    email: str, password: str, *, by: User | None, operator: bool = False, name: str = ""
) -> User:
    """Make an account; `Refusal` names what is wrong with the address or the password."""
    try:
        validate_email(email)
    except ValidationError as error:
        raise Refusal(
            "This is not an e-mail address.", fields={"email": "This is not an e-mail address."}
        ) from error
    try:
        validate_password(password)
    except ValidationError as error:
        text = " ".join(error.messages)
        raise Refusal(text, fields={"password": text}) from error
    taken = Refusal("This address has an account.", fields={"email": "This address has an account already."})
    try:
        with transaction.atomic():
            if User.objects.filter(email__iexact=email).exists():
                raise taken
            user = User.objects.create_user(
                email, password, name=name, is_staff=operator, is_superuser=operator
            )
            activity.record(by, "created", user)
    except IntegrityError as error:
        raise taken from error
    return user


@transaction.atomic
def create_first_user(email: str, password: str, *, name: str = "") -> User:
    """Make the first person's account: an operator, and admin of every team that the console made before.

    Call it in the transaction that spends the sign-in link: there is only one such link at a time.
    """
    if User.objects.can_sign_in().exists():
        raise Refusal(
            "There is an account already; ask an operator for one of your own.", status=403, id="forbidden"
        )
    user = create_user(email, password, by=None, operator=True, name=name)
    for team in Team.objects.all():
        Membership.objects.create(team=team, user=user, role=Membership.Role.ADMIN)
    return user


@transaction.atomic
def rename_user(user: User, name: str, *, by: User) -> None:
    """Change how a person is called."""
    before, user.name = user.name, name[:100]
    User.objects.filter(pk=user.pk).update(name=user.name)
    activity.record(by, "renamed", user, before=before, after=user.name)


@transaction.atomic
def change_address(user: User, email: str, *, by: User | None) -> None:
    """Give `user` another e-mail address, that an operator vouches for: they sign in with it from now on. Where mail
    works people do this themselves, by a link."""
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise Refusal("This is not an e-mail address.") from error
    if User.objects.filter(email__iexact=email).exclude(pk=user.pk).exists():
        raise Refusal(f"Somebody else has the address {email}.")
    before, user.email = user.email, email
    user.save(update_fields=["email"])
    EmailAddress.objects.filter(user=user).delete()
    EmailAddress.objects.create(user=user, email=email, primary=True, verified=True)
    activity.record(by, "changed the address of", user, before=before, after=email)
    live.tell(f"user:{user.pk}")


@transaction.atomic
def set_single_keys(user: User, on: bool, *, by: User) -> None:
    """Have pages listen to shortcuts of one key, or not."""
    User.objects.filter(pk=user.pk).update(single_keys=on)
    user.single_keys = on
    activity.record(by, "changed the shortcuts of", user, after="on" if on else "off")


@transaction.atomic
def delete_user(user: User, *, confirm: str, by: User) -> None:
    """Delete an account that owns nothing and that no team needs as its admin; what it did stays in the activity
    under its address. `confirm` is that address, typed. Its sessions, tokens and open pages end at once."""
    if confirm.strip().lower() != user.email.lower():
        said = f"Type {user.email} to confirm."
        raise Refusal(said, fields={"confirm": said})
    led = Team.objects.led_by_nobody_but(user).first()
    if led is not None:
        raise Refusal(
            f"{led} has no other admin. Make someone else an admin of it, or delete the team first."
        )
    others = User.objects.can_sign_in().filter(is_superuser=True).exclude(pk=user.pk)
    if user.is_superuser and not others.exists():
        raise Refusal("You are the only operator of this Slipway. Make someone else an operator first.")
    activity.record(by, "deleted", user)
    live.tell(f"user:{user.pk}")
    try:
        with transaction.atomic():
            user.delete()
    except ProtectedError as error:
        raise Refusal(
            f"You own {_some(error.protected_objects)}. Transfer or destroy what is yours first."
        ) from error


@transaction.atomic
def change_password(user: User, new: str, *, by: User) -> None:
    """Replace a password by another; who asks has proved that they know the old one, or may do without it.
    Sessions of other browsers end with it."""
    try:
        validate_password(new, user)
    except ValidationError as error:
        text = " ".join(error.messages)
        raise Refusal(text, fields={"new": text, "password": text}) from error
    user.set_password(new)
    user.save(update_fields=["password"])
    activity.record(by, "changed the password of", user)
    live.tell(f"user:{user.pk}")


@transaction.atomic
def create_token(
    user: User,
    description: str = "",
    *,
    by: User | None,
    expires_at: datetime | None = None,
    scope: Sequence[str] = ("global",),
) -> tuple[ApiToken, str]:
    """Make an API token for `user`; returns it and its secret, which is never to be seen again. `scope` is of
    `accounts.scopes.SCOPES`."""
    secret = secrets.new_token("SLWY")
    token = ApiToken.objects.create(
        user=user,
        description=description[:200],
        digest=secrets.digest(secret),
        hint=secret[-4:],
        expires_at=expires_at,
        scope=list(scope),
    )
    activity.record(by, "created", token, scope=list(scope))
    return token, secret


def token_end(days: str) -> datetime | None:
    """When a token made now ends that shall be good for `days`, as somebody typed it; None for ever, when empty."""
    if not days:
        return None
    if not (days.isascii() and days.isdecimal() and len(days) < 6 and 1 <= int(days) <= MOST_TOKEN_DAYS):
        said = f"A token is good for 1 to {MOST_TOKEN_DAYS} days, or until it is revoked."
        raise Refusal(said, fields={"days": said})
    return timezone.now() + timedelta(days=int(days))


def note_use(token: ApiToken) -> None:
    """Note that a token was used, once a minute at most: reading the API must not be writing all the time."""
    now = timezone.now()
    if token.used_at is None or now - token.used_at > timedelta(minutes=1):
        with space.forgone("use of a token"):
            ApiToken.objects.filter(pk=token.pk).update(used_at=now)
            token.used_at = now


@transaction.atomic
def describe_token(token: ApiToken, description: str, *, by: User) -> None:
    """Say anew what a token is for."""
    before, token.description = token.description, description[:200]
    ApiToken.objects.filter(pk=token.pk).update(description=token.description)
    activity.record(by, "renamed", token, before=before, after=token.description)


@transaction.atomic
def regenerate_token(token: ApiToken, *, by: User) -> str:
    """Give a token a new secret, which is returned and never to be seen again; the old one ends at once."""
    secret = secrets.new_token("SLWY")
    token.digest, token.hint = secrets.digest(secret), secret[-4:]
    ApiToken.objects.filter(pk=token.pk).update(digest=token.digest, hint=token.hint)
    activity.record(by, "regenerated", token)
    live.tell(f"user:{token.user_id}")
    return secret


@transaction.atomic
def revoke_token(token: ApiToken, *, by: User | None) -> None:
    """End a token at once, open sockets of its holder included."""
    ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())
    activity.record(by, "revoked", token)
    live.tell(f"user:{token.user_id}")


@transaction.atomic
def revoke_tokens(user: User, *, by: User | None) -> int:
    """End every token of `user` at once; returns how many that were."""
    valid = ApiToken.objects.filter(user=user, revoked_at__isnull=True)
    count = valid.update(revoked_at=timezone.now())
    activity.record(by, "revoked all tokens of", user, tokens=count)
    live.tell(f"user:{user.pk}")
    return count


@transaction.atomic
def suspend(user: User, *, by: User | None) -> None:
    """Lock a person out, at once and everywhere; nothing they own is touched."""
    User.objects.filter(pk=user.pk).update(is_active=False)
    user.is_active = False
    activity.record(by, "suspended", user)
    live.tell(f"user:{user.pk}")


@transaction.atomic
def reinstate(user: User, *, by: User | None) -> None:
    """Let a suspended person in again."""
    User.objects.filter(pk=user.pk).update(is_active=True)
    user.is_active = True
    activity.record(by, "reinstated", user)


def create_team(name: str, *, by: User) -> Team:
    """Make a team with `by` as its admin."""
    names.check_team(name)
    try:
        with transaction.atomic():
            team = Team.objects.create(name=name)
            Membership.objects.create(team=team, user=by, role=Membership.Role.ADMIN)
            activity.record(by, "created", team)
    except IntegrityError as error:
        raise names.taken(name) from error
    return team


@transaction.atomic
def set_limits(
    team: Team, *, max_apps: int | None, max_dynos: int | None, max_builds: int | None, by: User | None
) -> Team:
    """Say how many apps, dynos and builds at a time `team` may have; None: as many as they like. What it has beyond
    that stays."""
    wanted = {"max_apps": max_apps, "max_dynos": max_dynos, "max_builds": max_builds}
    if wrong := {name: "0 or more." for name, value in wanted.items() if value is not None and value < 0}:
        raise Refusal("A limit is 0 or more; leave it empty for none.", fields=wrong)
    before = {name: getattr(team, name) for name in wanted}
    Team.objects.filter(pk=team.pk).update(**wanted)
    for name, value in wanted.items():
        setattr(team, name, value)
    activity.record(by, "set the limits of", team, before=before, after=wanted)
    live.wake_conductor()
    return team


@transaction.atomic
def set_role(team: Team, user: User, role: str, *, by: User) -> Membership:
    """Make `user` a member of `team` in `role`, or change their role. The last admin stays one."""
    if role not in Membership.Role.values:
        raise Refusal(
            f"A role is one of {', '.join(Membership.Role.values)}.", fields={"role": "Choose a role."}
        )
    _take_turns(team)
    current = Membership.objects.filter(team=team, user=user).first()
    if current and current.role == Membership.Role.ADMIN and role != Membership.Role.ADMIN:
        _keep_an_admin(team, user)
    membership, _ = Membership.objects.update_or_create(team=team, user=user, defaults={"role": role})
    before = current.role if current else None
    activity.record(by, "set the role of", membership, before=before, after=role, team=str(team.pk))
    live.tell(f"user:{user.pk}")
    return membership


@transaction.atomic
def remove_member(team: Team, user: User, *, by: User) -> None:
    """Take `user` out of `team`; their open pages close within seconds."""
    _take_turns(team)
    membership = Membership.objects.filter(team=team, user=user).first()
    if membership is None:
        raise NotFound(f"{user.email} is not in {team.name}.")
    if membership.role == Membership.Role.ADMIN:
        _keep_an_admin(team, user)
    activity.record(by, "left" if by == user else "removed", membership, team=str(team.pk))
    membership.delete()
    live.tell(f"user:{user.pk}")


@transaction.atomic
def rename_team(team: Team, name: str, *, by: User) -> Team:
    """Change a team's name, and with it the address of its pages."""
    names.check_team(name)
    before = team.name
    try:
        with transaction.atomic():
            Team.objects.filter(pk=team.pk).update(name=name)
    except IntegrityError as error:
        raise names.taken(name) from error
    team.name = name
    activity.record(by, "renamed", team, before=before, after=name)
    return team


@transaction.atomic
def delete_team(team: Team, *, confirm: str, by: User) -> None:
    """Delete a team that owns nothing; `confirm` is its name, typed by who asks for it."""
    if confirm != team.name:
        said = f"Type {team.name} to confirm."
        raise Refusal(said, fields={"confirm": said})
    _take_turns(team)
    members = list(team.memberships.values_list("user_id", flat=True))
    activity.record(by, "deleted", team)
    try:
        with transaction.atomic():
            team.delete()
    except ProtectedError as error:
        raise Refusal(
            f"{team.name} owns {_some(error.protected_objects)}. Transfer or destroy what it owns first."
        ) from error
    for member in members:
        live.tell(f"user:{member}")


def _some(things: Iterable[object]) -> str:
    """The first few of `things` by name, and how many more there are."""
    named = sorted(map(str, things))
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return ", ".join(named[:3]) + more


def _take_turns(team: Team) -> None:
    """Have changes of who is in a team wait for each other: two admins who leave at once must not both succeed."""
    Team.objects.select_for_update().filter(pk=team.pk).values_list("pk").first()


def _keep_an_admin(team: Team, leaving: User) -> None:
    admins = Membership.objects.filter(team=team, role=Membership.Role.ADMIN, user__is_active=True)
    if not admins.exclude(user=leaving).exists():
        raise Refusal(f"{leaving.email} is the last admin of {team.name}. Make someone else an admin first.")


def create_sign_in_link(user: User | None = None) -> str:
    """Make a one-time link's secret: it signs `user` in, or creates the first account when there is no user yet.

    Earlier links of the same kind that were not used are void.
    """
    SignInLink.objects.filter(user=user, used_at__isnull=True).delete()
    secret = secrets.new_token("link")
    expires = timezone.now() + timedelta(hours=LINK_HOURS)
    SignInLink.objects.create(digest=secrets.digest(secret), user=user, expires_at=expires)
    return secret


@transaction.atomic
def make_sign_in_link(user: User, *, by: User) -> str:
    """The address of a one-time link that signs `user` in, for an operator to hand over."""
    if not user.is_active:
        raise Refusal(f"{user} is suspended. Reinstate them first.")
    activity.record(by, "made a sign-in link for", user)
    return f"{settings.URL}/setup/{create_sign_in_link(user)}/"


def find_sign_in_link(secret: str) -> SignInLink | None:
    """The one-time link with this secret while it can still be spent."""
    unspent = SignInLink.objects.filter(used_at__isnull=True, expires_at__gt=timezone.now())
    return unspent.select_related("user").filter(digest=secrets.digest(secret)).first()


@transaction.atomic
def open_account(secret: str, *, email: str, password: str, name: str = "") -> User:
    """Spend a one-time link: on the account of the first operator, or on signing in the person it was made for, with
    a new password if one is given. The link stays good when the form is refused."""
    link = use_sign_in_link(secret)
    if link.user is not None:
        if password:
            change_password(link.user, password, by=link.user)
        return link.user
    return create_first_user(email, password, name=name)


def use_sign_in_link(secret: str) -> SignInLink:
    """Spend a one-time link; `NotFound` when it was spent, has expired or never was."""
    now = timezone.now()
    digest = secrets.digest(secret)
    if not SignInLink.objects.filter(digest=digest, used_at__isnull=True, expires_at__gt=now).update(
        used_at=now
    ):
        raise NotFound("This link was used already or has expired. Ask for a new one.")
    return SignInLink.objects.select_related("user").get(digest=digest)
