"""API tokens, as the OAuth authorizations that the CLI knows them as; and signing in from the CLI."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field

from accounts import actions, proof, scopes
from accounts.models import ApiToken, User
from api.asker import asker
from api.http import TokenAuth, basic, ranged
from api.shapes.base import Time
from api.shapes.people import Person
from core.errors import NotFound, Refusal
from core.middleware import client_address

router = Router(tags=["Authorizations"])
LONGEST = timedelta(days=3650)


class AccessToken(Schema):
    """A token; only its last characters are known, but when it is made and for who presents it."""

    id: UUID
    token: str
    expires_in: int | None


class Holder(Person):
    """Whose token it is."""

    full_name: str | None

    @classmethod
    def of(cls, user: User | None) -> "Holder":
        found = Person.of(user)
        return cls(id=found.id, email=found.email, full_name=user.name or None if user else None)


class ClientName(Schema):
    """The program that a token was granted to."""

    id: UUID
    name: str
    redirect_uri: str


class AuthorizationOut(Schema):
    """An API token, and whose it is."""

    id: UUID
    description: str
    access_token: AccessToken
    client: ClientName | None = None
    grant: None = None
    refresh_token: None = None
    session: None = None
    scope: list[str]
    user: Holder
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: ApiToken, secret: str | None = None) -> "AuthorizationOut":
        left = max(0, int((row.expires_at - datetime.now(UTC)).total_seconds())) if row.expires_at else None
        token = AccessToken(id=row.pk, token=secret or f"SLWY-{'*' * 10}{row.hint}", expires_in=left)
        return cls(
            id=row.pk,
            description=row.description,
            access_token=token,
            client=ClientName.from_orm(row.client) if row.client else None,
            scope=row.scope,
            user=Holder.of(row.user),
            created_at=row.created_at,
            updated_at=row.used_at or row.created_at,
        )


class AuthorizationIn(Schema):
    """A token to make. There is one scope here: all that its owner may do."""

    description: str = Field("", max_length=200)
    scope: list[str] | None = None
    expires_in: int | None = None


class AuthorizationChange(Schema):
    """What of a token can be changed."""

    description: str | None = Field(None, max_length=200)


class PasswordAuth(TokenAuth):
    """A token, or the e-mail address and password of an account, by HTTP Basic."""

    def __call__(self, request: HttpRequest) -> User:
        email, password = basic(request.headers.get("Authorization", ""))
        if "@" not in email or ApiToken.objects.presented(password):
            return super().__call__(request)
        code = request.headers.get("Heroku-Two-Factor-Code", "").strip()
        user = proof.prove(email, password, code, address=client_address(request))
        request.user = user
        return user


@router.post("/oauth/authorizations", response={201: AuthorizationOut}, auth=PasswordAuth())
def create(request: HttpRequest, body: AuthorizationIn) -> Status[AuthorizationOut]:
    """Make a token. Who has none yet asks with address and password, and the code of their second factor."""
    by = asker(request)
    row, secret = actions.create_token(
        by, body.description, by=by, expires_at=_end(body.expires_in), scope=scopes.checked(body.scope or [])
    )
    return Status(201, AuthorizationOut.of(row, secret))


@router.get("/oauth/authorizations", response={200: list[AuthorizationOut], 206: list[AuthorizationOut]})
def index(request: HttpRequest, response: HttpResponse) -> Status[list[AuthorizationOut]]:
    """The asker's tokens, those that they granted to programs included."""
    rows = ApiToken.objects.standing().filter(user=asker(request)).select_related("user", "client")
    return ranged(request, response, rows, lambda row: _shown(request, row))


@router.get("/oauth/authorizations/{ref}", response=AuthorizationOut)
def info(request: HttpRequest, ref: str) -> AuthorizationOut:
    """One token."""
    return _shown(request, _own(request, ref))


@router.patch("/oauth/authorizations/{ref}", response=AuthorizationOut)
def update(request: HttpRequest, ref: str, body: AuthorizationChange) -> AuthorizationOut:
    """Describe a token anew."""
    row = _own(request, ref)
    if body.description is not None:
        actions.describe_token(row, body.description, by=asker(request))
    return _shown(request, row)


@router.delete("/oauth/authorizations/{ref}", response=AuthorizationOut)
def revoke(request: HttpRequest, ref: str) -> AuthorizationOut:
    """Revoke a token, for good."""
    row = _own(request, ref)
    answer = _shown(request, row)
    actions.revoke_token(row, by=asker(request))
    return answer


@router.post("/oauth/authorizations/{ref}/actions/regenerate-tokens", response=AuthorizationOut)
def regenerate(request: HttpRequest, ref: str) -> AuthorizationOut:
    """Give a token a new secret; the old one ends at once."""
    row = _own(request, ref)
    return AuthorizationOut.of(row, actions.regenerate_token(row, by=asker(request)))


def _shown(request: HttpRequest, row: ApiToken) -> AuthorizationOut:
    """A token, with its secret for who has just shown that they have it."""
    presented = getattr(request, "token", None)
    secret = getattr(request, "secret", None) if presented is not None and presented.pk == row.pk else None
    return AuthorizationOut.of(row, secret)


def _own(request: HttpRequest, ref: str) -> ApiToken:
    rows = ApiToken.objects.standing().filter(user=asker(request)).select_related("user", "client")
    try:
        found = rows.filter(pk=UUID(ref)).first()
    except ValueError:  # `~` too: no token is made by signing up
        found = None
    if found is None:
        raise NotFound("Couldn't find that authorization.", resource="authorization")
    return found


def _end(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    if not 0 < seconds <= LONGEST.total_seconds():
        raise Refusal(f"expires_in is a number of seconds, {int(LONGEST.total_seconds())} at most.")
    return datetime.now(UTC) + timedelta(seconds=seconds)
