"""Who comes with the token that the partner behind an add-on got for this one add-on."""

from django.http import HttpRequest
from ninja.security import HttpBearer

from addons import partners
from addons.models import PartnerResource
from api.http import allowance
from core.errors import NotFound, Unauthorized


class PartnerAuth(HttpBearer):
    """A token that a partner got for one add-on."""

    def authenticate(self, request: HttpRequest, token: str) -> PartnerResource:
        resource = partners.presented(token)
        if resource is None:
            raise Unauthorized("Invalid credentials provided.")
        request.remaining = allowance.take(str(resource.pk))  # type: ignore[attr-defined]
        return resource


def resource_of(request: HttpRequest, ref: str) -> PartnerResource:
    """What the token is for, if that is the add-on of this id or name; `NotFound` for any other."""
    resource = request.auth  # type: ignore[attr-defined]
    assert isinstance(resource, PartnerResource)
    if ref not in (str(resource.addon_id), resource.addon.name):
        raise NotFound("Couldn't find that add-on.", resource="add_on")
    return resource
