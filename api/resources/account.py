"""The account behind the token, and its teams."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status

from accounts.models import Membership, User
from api.asker import asker
from api.http import ranged
from api.shapes import AccountOut, TeamOut
from apps.access import app_for
from core.errors import NotFound, Refusal

router = Router(tags=["Account"])


class AccountIn(Schema):
    """What of the account can be changed."""

    name: str | None = None


class KeyIn(Schema):
    """An SSH key."""

    public_key: str


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


@router.get("/account/keys", response=list[dict[str, str]])
def keys(request: HttpRequest) -> list[dict[str, str]]:
    """No SSH keys: git speaks HTTPS here, with a token."""
    return []


@router.post("/account/keys", response={201: dict[str, str]})
def add_key(request: HttpRequest, body: KeyIn) -> Status[dict[str, str]]:
    """Refused: git speaks HTTPS here, with a token."""
    raise Refusal("Slipway has git over HTTPS only, with your API token: it needs no SSH key.")


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


@router.get("/teams", response={200: list[TeamOut], 206: list[TeamOut]})
def teams(request: HttpRequest, response: HttpResponse) -> Status[list[TeamOut]]:
    """The teams that the asker is in."""
    rows = Membership.objects.filter(user=asker(request)).select_related("team")
    return ranged(request, response, rows, TeamOut.of)
