"""The account behind the token, and its teams."""

from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status

from accounts import keys
from accounts.models import SshKey, User
from api.asker import asker
from api.http import ranged
from api.shapes.base import Time
from api.shapes.people import AccountOut
from apps.access import app_for
from core.errors import NotFound

router = Router(tags=["Account"])


class AccountIn(Schema):
    """What of the account can be changed."""

    name: str | None = None


class KeyIn(Schema):
    """An SSH key, as the line of a `.pub` file."""

    public_key: str


class KeyOut(Schema):
    """An SSH key that is kept here."""

    id: UUID
    public_key: str
    comment: str
    email: str
    fingerprint: str
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: SshKey) -> "KeyOut":
        return cls(
            id=row.pk,
            public_key=row.public_key,
            comment=row.comment,
            email=row.user.email,
            fingerprint=row.fingerprint,
            created_at=row.created_at,
            updated_at=row.created_at,
        )


class RateLimitOut(Schema):
    """How many calls are left in this hour."""

    remaining: int


@router.get("/account", response=AccountOut)
def info(request: HttpRequest) -> AccountOut:
    """Tell who the token belongs to."""
    return AccountOut.of(asker(request))


@router.patch("/account", response=AccountOut)
def update(request: HttpRequest, body: AccountIn) -> AccountOut:
    """Change the account's name."""
    user = asker(request)
    if body.name is not None:
        user.name = body.name[:100]
        User.objects.filter(pk=user.pk).update(name=user.name)
    return AccountOut.of(user)


@router.get("/account/rate-limits", response=RateLimitOut)
def rate_limits(request: HttpRequest) -> RateLimitOut:
    """Tell how many calls are left."""
    return RateLimitOut(remaining=getattr(request, "remaining", settings.API_CALLS_PER_HOUR))


@router.get("/users/{ref}", response=AccountOut)
def user(request: HttpRequest, ref: str) -> AccountOut:
    """The own account, as `~`, by address or id; someone else's id and name, by their address."""
    me = asker(request)
    if ref.lower() in ("~", me.email, str(me.pk)):
        return AccountOut.of(me)
    other = User.objects.can_sign_in().filter(email__iexact=ref).first() if "@" in ref else None
    if other is None:
        raise NotFound("Couldn't find that user.", resource="user")
    return AccountOut.of_other(other)


@router.get("/account/keys", response={200: list[KeyOut], 206: list[KeyOut]})
def ssh_keys(request: HttpRequest, response: HttpResponse) -> Status[list[KeyOut]]:
    """The SSH keys that the asker keeps here. Nothing is opened with them: git speaks HTTPS here, with a token."""
    rows = SshKey.objects.filter(user=asker(request)).select_related("user")
    return ranged(request, response, rows, KeyOut.of)


@router.post("/account/keys", response={201: KeyOut})
def add_key(request: HttpRequest, response: HttpResponse, body: KeyIn) -> Status[KeyOut]:
    """Keep an SSH key; the answer's warning says that git goes another way."""
    by = asker(request)
    row = keys.add(by, body.public_key, by=by)
    response.headers["Warning-Message"] = (
        "Nothing is opened with SSH keys here: git uses HTTPS, with your API token."
    )
    return Status(201, KeyOut.of(row))


@router.get("/account/keys/{ref}", response=KeyOut)
def key(request: HttpRequest, ref: str) -> KeyOut:
    """One SSH key of the asker's, by id or fingerprint."""
    return KeyOut.of(_key(request, ref))


@router.delete("/account/keys/{ref}", response=KeyOut)
def remove_key(request: HttpRequest, ref: str) -> KeyOut:
    """Forget an SSH key."""
    row = _key(request, ref)
    answer = KeyOut.of(row)
    keys.remove(row, by=asker(request))
    return answer


def _key(request: HttpRequest, ref: str) -> SshKey:
    rows = SshKey.objects.filter(user=asker(request)).select_related("user")
    row = next((row for row in rows if ref in (str(row.pk), row.fingerprint)), None)
    if row is None:
        raise NotFound("Couldn't find that key.", resource="key")
    return row


@router.get("/accounts/{ref}/actions/get-quota", response=dict[str, int])
def quota(request: HttpRequest, ref: str) -> dict[str, int]:
    """Refused: nobody counts hours of free dynos here."""
    raise NotFound("There is no quota of dyno hours.", resource="quota")


@router.put("/apps/{app}/pre-authorizations", response={201: dict[str, str]})
def pre_authorize(request: HttpRequest, app: str) -> Status[dict[str, str]]:
    """Nothing to do: the second factor is asked for when a token is made, not when it is used."""
    app_for(asker(request), app)
    return Status(201, {})


@router.get("/spaces", response=list[dict[str, str]])
def spaces(request: HttpRequest) -> list[dict[str, str]]:
    """None: there are no private spaces."""
    return []


@router.get("/account/invoices", response=list[dict[str, str]])
def invoices(request: HttpRequest) -> list[dict[str, str]]:
    """None: nothing is billed here."""
    return []


@router.get("/account/credits", response=list[dict[str, str]])
def credits(request: HttpRequest) -> list[dict[str, str]]:
    """None: nothing is billed here."""
    return []
