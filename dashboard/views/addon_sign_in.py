"""Into a partner's own pages about an add-on."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from addons import access, partners
from dashboard.answers import see
from dashboard.http import PageRequest
from pipelines import addons as door


@never_cache
@require_safe
@login_required
def sign_in(request: PageRequest, addon: str) -> HttpResponse:
    """Say where it leads and what is told there; the button sends the browser, signed for a few minutes."""
    found = door.addon_to_share(request.user, access.addon_for(request.user, addon, to=access.DEPLOY))
    made = partners.sign_in(found, found.owner.name, by=request.user)
    if made is None:
        return see("addon-home", found.name)
    response = render(request, "addons/sign_in.html", {"addon": found, "made": made})
    response._csp_update = {"form-action": [made.origin]}  # type: ignore[attr-defined]
    return response
