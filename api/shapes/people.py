"""Accounts, teams, and who has rights in an app."""

from collections.abc import Sequence
from typing import Self
from uuid import UUID

from accounts import two_factor
from accounts.models import Membership, User
from api.shapes.base import SINCE, AppRef, Named, Schema, Time
from apps.models import App, Collaborator


class Person(Schema):
    """A user by id and address."""

    id: UUID
    email: str

    @classmethod
    def of(cls, user: User | None) -> Self:
        """`user`, or the platform itself."""
        return (
            cls(id=user.pk, email=user.email)
            if user
            else cls(id=UUID(int=0), email="slipway@slipway.invalid")
        )


class PersonWithRights(Person):
    """A user by id and address, as those with rights in an app are told."""

    federated: bool = False


class PersonName(Person):
    """A user by id, address and name."""

    name: str | None

    @classmethod
    def of(cls, user: User | None) -> Self:
        found = Person.of(user)
        return cls(id=found.id, email=found.email, name=user.name or None if user else None)


class AccountOut(Schema):
    """The account behind the token."""

    id: UUID
    email: str
    name: str | None
    created_at: Time
    updated_at: Time
    last_login: Time | None
    allow_tracking: bool = False
    beta: bool = False
    federated: bool = False
    verified: bool = True
    two_factor_authentication: bool = False
    sms_number: str | None = None
    suspended_at: Time | None = None
    delinquent_at: Time | None = None
    country_of_residence: str | None = None
    default_organization: Named | None = None
    default_team: Named | None = None
    identity_provider: None = None

    @classmethod
    def of(cls, user: User) -> Self:
        return cls(
            id=user.pk,
            email=user.email,
            name=user.name or None,
            created_at=user.date_joined,
            updated_at=user.date_joined,
            last_login=user.last_login,
            two_factor_authentication=two_factor.has_factor(user),
        )

    @classmethod
    def of_other(cls, user: User) -> Self:
        """What anyone may know of a person whose address they know."""
        since = user.date_joined
        return cls(
            id=user.pk,
            email=user.email,
            name=user.name or None,
            created_at=since,
            updated_at=since,
            last_login=None,
        )


PLATFORM = AccountOut(
    id=UUID(int=0), email="slipway@slipway.invalid", name="Slipway", created_at=SINCE, updated_at=SINCE,
    last_login=None,
)  # fmt: skip


class Permission(Schema):
    """One right."""

    name: str
    description: str = ""


class CollaboratorOut(Schema):
    """A person with rights in an app."""

    id: UUID
    app: AppRef
    user: PersonWithRights
    role: str
    permissions: list[Permission]
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Collaborator) -> Self:
        return cls(
            id=row.pk,
            app=AppRef.of(row.app),
            user=PersonWithRights.of(row.user),
            role="collaborator" if row.rights else "member",  # who has joined has the rights of their role
            permissions=[Permission(name=right) for right in row.rights],
            created_at=row.created_at,
            updated_at=row.created_at,
        )

    @classmethod
    def by_right(cls, app: App, user: User, role: str, rights: Sequence[str]) -> Self:
        """A person who needs no row: the owner, or a member of the team that owns the app."""
        return cls(
            id=user.pk,
            app=AppRef.of(app),
            user=PersonWithRights.of(user),
            role=role,
            permissions=[Permission(name=right) for right in rights],
            created_at=app.created_at,
            updated_at=app.created_at,
        )


def role_word(role: str) -> str:
    """A role as the schema knows it, which has no viewers: they are its collaborators."""
    return "collaborator" if role == Membership.Role.VIEWER else role


class TeamOut(Schema):
    """A team that the asker is in."""

    id: UUID
    name: str
    role: str
    type: str = "team"
    default: bool = False
    credit_card_collections: bool = False
    provisioned_licenses: bool = False
    membership_limit: int | None = None
    enterprise_account: None = None
    identity_provider: None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, membership: Membership) -> Self:
        team = membership.team
        return cls(
            id=team.pk,
            name=team.name,
            role=role_word(membership.role),
            created_at=team.created_at,
            updated_at=team.created_at,
        )


class OwnerRef(Schema):
    """Who owns a pipeline."""

    id: UUID
    type: str
