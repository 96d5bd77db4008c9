"""Features of apps and of the account."""

from django.http import HttpRequest
from ninja import Router, Schema

from api.asker import asker
from api.exec_manager import off
from api.shapes.catalog import FeatureOut
from apps import access, dyno_keys
from apps import features as app_features
from apps.models import App
from core.errors import NotFound, Refusal

router = Router(tags=["Features"])
SHELL = "runtime-heroku-exec"  # what the CLI's ps:exec, ps:copy, ps:forward and ps:socks ask for first
# The CLI looks here before it asks for a pipeline's repository.
OF_ACCOUNTS = {"dashboard-repositories-api": "A pipeline's repository is served by the API"}


class FeatureIn(Schema):
    """On or off."""

    enabled: bool


@router.get("/account/features", response=list[FeatureOut])
def of_account(request: HttpRequest) -> list[FeatureOut]:
    """Features of the account, which are the same for all."""
    return [FeatureOut.fixed("account", name, text, enabled=True) for name, text in OF_ACCOUNTS.items()]


@router.get("/account/features/{ref}", response=FeatureOut)
def one_of_account(request: HttpRequest, ref: str) -> FeatureOut:
    """One of them."""
    return _pick(of_account(request), ref, "account_feature")


@router.patch("/account/features/{ref}", response=FeatureOut)
def switch_of_account(request: HttpRequest, ref: str, body: FeatureIn) -> FeatureOut:
    """They can't be turned off."""
    found = _pick(of_account(request), ref, "account_feature")
    if not body.enabled:
        raise Refusal(f"{found.name} can't be turned off.")
    return found


@router.get("/apps/{app}/features", response=list[FeatureOut])
def of_app(request: HttpRequest, app: str) -> list[FeatureOut]:
    """What can be switched on for an app."""
    return _all(access.app_for(asker(request), app))


@router.get("/apps/{app}/features/{ref}", response=FeatureOut)
def one_of_app(request: HttpRequest, app: str, ref: str) -> FeatureOut:
    """One of an app's features, by name or id."""
    return _pick(_all(access.app_for(asker(request), app)), ref, "app_feature")


@router.patch("/apps/{app}/features/{ref}", response=FeatureOut)
def switch_of_app(request: HttpRequest, app: str, ref: str, body: FeatureIn) -> FeatureOut:
    """Turn a feature of an app on or off."""
    by = asker(request)
    found = access.app_for(by, app, to=access.OPERATE)
    name = _pick(_all(found), ref, "app_feature").name
    if name == SHELL:
        if not body.enabled:
            raise Refusal(f"{SHELL} can't be turned off for an app: who may deploy may open its dynos.")
        return _pick(_all(found), name, "app_feature")
    app_features.switch(found, name, body.enabled, by=by)
    return _pick(_all(found), name, "app_feature")


def _all(app: App) -> list[FeatureOut]:
    rows = [
        FeatureOut.fixed("app", name, text, enabled=app_features.is_on(app, name))
        for name, text in app_features.FEATURES.items()
    ]
    if dyno_keys.listening().host:
        rows.append(FeatureOut.fixed("app", SHELL, "Dynos are opened by SSH; always so", enabled=True))
    return rows


def _pick(rows: list[FeatureOut], ref: str, resource: str) -> FeatureOut:
    for row in rows:
        if ref in (row.name, str(row.id)):
            return row
    if ref == SHELL:
        raise NotFound(off(dyno_keys.listening().why), resource=resource)
    raise NotFound(f"Couldn't find that {resource.replace('_', ' ')}.", resource=resource)
