"""Programs that ask people to let them act for them (OAuth clients), and the browsers that someone is signed in with."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field

from accounts import oauth, sessions
from accounts.models import OAuthClient
from accounts.sessions import Browser
from api.asker import asker
from api.http import ranged
from api.shapes.base import Time
from core import names
from core.errors import NotFound

router = Router(tags=["Programs"])


class ClientOut(Schema):
    """A program that its owner has registered. Its secret is told once, when it is made."""

    id: UUID
    name: str
    redirect_uri: str
    secret: str
    ignores_delinquent: None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: OAuthClient, secret: str | None = None) -> "ClientOut":
        return cls(
            id=row.pk,
            name=row.name,
            redirect_uri=row.redirect_uri,
            secret=secret or f"client-{'*' * 10}{row.hint}",
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class ClientIn(Schema):
    """A program to register, and the address that it takes people back to."""

    name: str = Field(max_length=1000)
    redirect_uri: str = Field(max_length=2000)


class ClientChange(Schema):
    """What of it can be changed; what is absent stays."""

    name: str | None = Field(None, max_length=1000)
    redirect_uri: str | None = Field(None, max_length=2000)


class SessionOut(Schema):
    """A browser that the asker is signed in with."""

    id: UUID
    description: str
    expires_in: None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Browser) -> "SessionOut":
        place = f"{row.device} from {row.address}" if row.address else row.device
        return cls(id=_id(row), description=place, created_at=row.since, updated_at=row.seen)


@router.get("/oauth/clients", response={200: list[ClientOut], 206: list[ClientOut]})
def index(request: HttpRequest, response: HttpResponse) -> Status[list[ClientOut]]:
    """The programs that the asker has registered."""
    return ranged(request, response, OAuthClient.objects.filter(user=asker(request)), ClientOut.of)


@router.post("/oauth/clients", response={201: ClientOut})
def register(request: HttpRequest, body: ClientIn) -> Status[ClientOut]:
    """Register a program. Its secret is in this answer alone."""
    client, secret = oauth.create_client(body.name, body.redirect_uri, by=asker(request))
    return Status(201, ClientOut.of(client, secret))


@router.get("/oauth/clients/{ref}", response=ClientOut)
def info(request: HttpRequest, ref: str) -> ClientOut:
    """One program of the asker's."""
    return ClientOut.of(_own(request, ref))


@router.patch("/oauth/clients/{ref}", response=ClientOut)
def update(request: HttpRequest, ref: str, body: ClientChange) -> ClientOut:
    """Change a program's name, or where it takes people back to."""
    row = _own(request, ref)
    return ClientOut.of(
        oauth.update_client(row, name=body.name, redirect_uri=body.redirect_uri, by=asker(request))
    )


@router.delete("/oauth/clients/{ref}", response=ClientOut)
def delete(request: HttpRequest, ref: str) -> ClientOut:
    """Forget a program; what people have granted it ends at once."""
    row = _own(request, ref)
    answer = ClientOut.of(row)
    oauth.delete_client(row, by=asker(request))
    return answer


@router.post("/oauth/clients/{ref}/actions/rotate-credentials", response=ClientOut)
def rotate(request: HttpRequest, ref: str) -> ClientOut:
    """Give a program a new secret; the old one ends at once."""
    row = _own(request, ref)
    return ClientOut.of(row, oauth.rotate_client(row, by=asker(request)))


@router.get("/oauth/sessions", response=list[SessionOut])
def browsers(request: HttpRequest) -> list[SessionOut]:
    """The browsers that the asker is signed in with."""
    return [SessionOut.of(row) for row in sessions.browsers_of(asker(request), None)]


@router.delete("/oauth/sessions/{ref}", response=SessionOut)
def sign_out(request: HttpRequest, ref: str) -> SessionOut:
    """Sign a browser out. A token belongs to none, so `~`, the asker's own, is not there: revoke the authorization."""
    by = asker(request)
    row = next((one for one in sessions.browsers_of(by, None) if ref == str(_id(one))), None)
    if row is None or not sessions.end(by, row.id, by=by):
        raise NotFound("Couldn't find that session.", resource="session")
    return SessionOut.of(row)


def _own(request: HttpRequest, ref: str) -> OAuthClient:
    try:
        row = OAuthClient.objects.filter(user=asker(request), pk=UUID(ref)).first()
    except ValueError:
        row = None
    if row is None:
        raise NotFound("Couldn't find that client.", resource="oauth_client")
    return row


def _id(row: Browser) -> UUID:
    """Browsers have numbers here; to the API everything has a UUID."""
    return names.fixed("browser", str(row.id))
