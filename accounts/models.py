"""People, the teams they form, and the tokens their programs present."""

import uuid
from typing import Any, ClassVar, Self

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models, transaction
from django.utils import timezone

from core import secrets


class UserManager(BaseUserManager["User"]):
    """Users are known by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        with transaction.atomic(using=self._db):
            user.save(using=self._db)
            # Who makes an account vouches for its address; allauth knows addresses by these rows.
            user.emailaddress_set.create(email=user.email, primary=True, verified=True)  # type: ignore[attr-defined]
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def can_sign_in(self) -> models.QuerySet["User"]:
        """People, unlike the accounts that only own or push things: active, with a usable password."""
        return self.filter(is_active=True).exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractUser):
    """A person. Operators have `is_staff` and use the admin site."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = None  # type: ignore[assignment]
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100, blank=True)
    single_keys = models.BooleanField(
        default=True, help_text="Shortcuts of one key, `p` say, in the dashboard."
    )

    token: "ApiToken | None" = None  # what a program showed to act as this person; None on pages

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar = []
    objects = UserManager()  # type: ignore[misc,assignment]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return self.name or self.email.partition("@")[0]

    def get_short_name(self) -> str:
        return self.get_full_name().split(" ")[0]

    @property
    def initials(self) -> str:
        """Two letters for the avatar."""
        words = self.get_full_name().replace(".", " ").replace("-", " ").split()
        return "".join(word[0] for word in words[:2]).upper() or "?"

    @property
    def hue(self) -> int:
        """Which of the six avatar colours is theirs."""
        return self.pk.int % 6 + 1


class TeamQuerySet(models.QuerySet["Team"]):
    """Questions about teams."""

    def led_by_nobody_but(self, user: User) -> Self:
        """Those that would have no admin without `user`."""
        admins = Membership.objects.filter(team=models.OuterRef("pk"), role=Membership.Role.ADMIN)
        others = admins.filter(user__is_active=True).exclude(user=user)
        return self.filter(models.Exists(admins.filter(user=user)), ~models.Exists(others))


class Team(models.Model):
    """People who own pipelines and apps together."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=40, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    members = models.ManyToManyField(User, through="Membership", related_name="teams")
    suspended_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="By an operator: its apps stand still."
    )
    max_apps = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: as many as they like.")
    max_dynos = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of all its apps together. Empty: as many as they like."
    )
    max_builds = models.PositiveIntegerField(
        null=True, blank=True, help_text="Running at once. Empty: as many as the machine has room for."
    )

    objects = TeamQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person in a team, and what the team lets them do."""

    class Role(models.TextChoices):
        ADMIN = "admin", "admin"
        MEMBER = "member", "member"
        VIEWER = "viewer", "viewer"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_team")
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.team} as {self.role}"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Questions about invitations."""

    def pending(self) -> Self:
        """Those that nobody has accepted or withdrawn; they may have run out."""
        return self.filter(accepted_at=None, withdrawn_at=None)

    def open(self) -> Self:
        """Those that can still be accepted."""
        return self.pending().filter(expires_at__gt=timezone.now())


class Invitation(models.Model):
    """An offer to join a team, good once and for one address only. Its secret is stored as a digest."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Membership.Role, default=Membership.Role.MEMBER)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, editable=False)
    accepted_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    withdrawn_at = models.DateTimeField(null=True, editable=False)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["team", "email"],
                condition=models.Q(accepted_at=None, withdrawn_at=None),
                name="one_open_invitation_per_address",
            )
        ]

    def __str__(self) -> str:
        return f"invitation of {self.email} to {self.team}"

    @property
    def has_expired(self) -> bool:
        """Whether its link ran out; a new one can be made."""
        return self.expires_at <= timezone.now()


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Questions about tokens."""

    def valid(self) -> Self:
        return self.filter(
            models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=timezone.now()),
            revoked_at__isnull=True,
            user__is_active=True,
        )

    def standing(self) -> Self:
        """Those that are valid, and those of programs that may renew them."""
        renewable = models.Q(
            pk__in=self.filter(revoked_at__isnull=True).exclude(refresh_digest="").values("pk")
        )
        return self.filter(renewable | models.Q(pk__in=self.valid().values("pk")), user__is_active=True)

    def of_people(self) -> Self:
        """Those that their owners have made themselves."""
        return self.filter(client__isnull=True)

    def presented(self, token: str) -> "ApiToken | None":
        """The valid token whose secret is `token`, if there is one; its `user` knows that they came with it."""
        found = self.valid().filter(digest=secrets.digest(token)).select_related("user").first()
        if found is not None:
            found.user.token = found
        return found


def everything() -> list[str]:
    """The scope of a token that may do all that its owner may."""
    return ["global"]


class ApiToken(models.Model):
    """A secret for the CLI, git and scripts. Stored hashed, shown once when made. What a program was granted is one
    too, with its `client`: it runs out after hours, and the program renews it by a second secret."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    description = models.CharField(max_length=200, blank=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False, help_text="Its last four characters.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    scope = models.JSONField(default=everything, editable=False, help_text="Of accounts.scopes.SCOPES.")
    client = models.ForeignKey(
        "OAuthClient", null=True, on_delete=models.CASCADE, editable=False, related_name="tokens"
    )
    refresh_digest = models.CharField(
        max_length=64, blank=True, db_index=True, editable=False, help_text="Of the secret that renews it."
    )

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.description or 'token'} (…{self.hint})"


class OAuthClient(models.Model):
    """A program of somebody's that asks other people to let it act for them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="oauth_clients")
    name = models.CharField(max_length=100)
    redirect_uri = models.CharField(max_length=500, help_text="Where people are sent back to.")
    digest = models.CharField(max_length=64, editable=False, help_text="Of its secret.")
    hint = models.CharField(
        max_length=12, editable=False, help_text="The last four characters of its secret."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["created_at"]

    def __str__(self) -> str:
        return self.name


class OAuthCode(models.Model):
    """What a person's consent is told to a program by: it fetches a token with it, once and within minutes."""

    digest = models.CharField(max_length=64, primary_key=True)
    client = models.ForeignKey(OAuthClient, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    scope = models.JSONField()
    redirect_uri = models.CharField(max_length=500)
    challenge = models.CharField(max_length=128, blank=True, help_text="PKCE, S256.")
    token = models.ForeignKey(
        ApiToken, null=True, on_delete=models.CASCADE, help_text="What it was spent on."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"code for {self.client}"


class SshKey(models.Model):
    """A public key that a person keeps here. Nothing is opened with it: git speaks HTTPS here, with a token."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="ssh_keys")
    public_key = models.TextField(help_text="Kind, key and comment, as in a file of OpenSSH.")
    comment = models.CharField(max_length=200, blank=True)
    fingerprint = models.CharField(max_length=60, help_text="SHA256:…")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "fingerprint"], name="one_ssh_key_per_person")
        ]

    def __str__(self) -> str:
        return self.comment or self.fingerprint


class SignInLink(models.Model):
    """A one-time link, printed on the console at the first start: it creates the first account."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"sign-in link of {self.created_at:%Y-%m-%d %H:%M}"


class CliSignIn(models.Model):
    """`heroku login` waiting for its person to say in the browser that it was they who asked."""

    SEALED: ClassVar = {"sealed": "bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    description = models.CharField(
        max_length=200, help_text="As the client says: “Heroku CLI login from laptop”."
    )
    address = models.CharField(max_length=45, blank=True, help_text="Where it asked from.")
    digest = models.CharField(
        max_length=64, editable=False, help_text="Of the secret that fetches the answer."
    )
    token = models.ForeignKey(ApiToken, null=True, on_delete=models.CASCADE, editable=False)
    sealed = models.TextField(
        blank=True, editable=False, help_text="The token's secret, until it is fetched."
    )
    refused = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.description

    @property
    def bound_to(self) -> str:
        """What the sealed secret belongs to."""
        return f"cli-sign-in/{self.pk}"


class FailedSignIn(models.Model):
    """A try with a wrong password: what slows down guessing. Old ones are cleared away."""

    account = models.CharField(max_length=64, help_text="Digest of the address that was typed, known or not.")
    address = models.CharField(max_length=45, blank=True, help_text="Where it came from.")
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["account", "at"]), models.Index(fields=["address", "at"])]

    def __str__(self) -> str:
        return f"failed sign-in of {self.at:%Y-%m-%d %H:%M}"


class Favorite(models.Model):
    """An app or a pipeline that its person wants at hand. It says nothing about rights: what they may not view any more
    is left out when favorites are listed."""

    class Kind(models.TextChoices):
        APP = "app", "app"
        PIPELINE = "pipeline", "pipeline"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="favorites")
    kind = models.CharField(max_length=10, choices=Kind)
    thing = models.UUIDField(help_text="The app's or the pipeline's id.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "kind", "thing"], name="a_favorite_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.thing}, a favorite of {self.user}"


class ReadMark(models.Model):
    """That a person has read a notification. Notifications are told from what is there and have no row of their own,
    only an id that stays the same."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    notification = models.UUIDField()
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "notification"], name="a_notification_read_once")
        ]

    def __str__(self) -> str:
        return f"{self.user} has read {self.notification}"


class Owned(models.Model):
    """What belongs to a person or to a team, and to exactly one of them."""

    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        abstract = True
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(user__isnull=True) ^ models.Q(team__isnull=True),
                name="%(class)s_has_one_owner",
            )
        ]

    @property
    def owner(self) -> "User | Team":
        """The person or the team it belongs to."""
        owner = self.user or self.team
        assert owner is not None
        return owner

    @staticmethod
    def owner_fields(owner: "User | Team") -> dict[str, Any]:
        """The two columns that say `owner`."""
        is_team = isinstance(owner, Team)
        return {"team": owner if is_team else None, "user": None if is_team else owner}


class Transfer(models.Model):
    """Something on the way from who offers it to another person, who accepts or declines. It is moved on by
    `accounts.transfers`, from pending once and for all."""

    class State(models.TextChoices):
        PENDING = "pending", "pending"
        ACCEPTED = "accepted", "accepted"
        DECLINED = "declined", "declined"
        WITHDRAWN = "withdrawn", "withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="+", help_text="Who offers it, and managed it then."
    )
    recipient = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.thing} to {self.recipient}"

    @property
    def thing(self) -> "Owned":
        """What is handed over."""
        raise NotImplementedError
