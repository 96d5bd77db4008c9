"""A person's second factors: what they have set up. Setting up and taking away are allauth's own pages."""

from allauth.mfa.models import Authenticator
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts import two_factor
from dashboard.http import PageRequest


@require_safe
@login_required
def index(request: PageRequest) -> HttpResponse:
    """The app, the passkeys, the recovery codes that are left."""
    rows = list(Authenticator.objects.filter(user=request.user).order_by("created_at"))
    codes = next((row for row in rows if row.type == Authenticator.Type.RECOVERY_CODES), None)
    context = {
        "app": next((row for row in rows if row.type == Authenticator.Type.TOTP), None),
        "passkeys": [row for row in rows if row.type == Authenticator.Type.WEBAUTHN],
        "codes": codes,
        "codes_left": len(codes.wrap().get_unused_codes()) if codes else 0,
        "on": any(row.type in two_factor.FACTORS for row in rows),
        "demanded": two_factor.demanded_of(request.user),
    }
    return render(request, "mfa/index.html", context)
