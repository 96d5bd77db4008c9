"""Every page of the product: what its quality tests open. A new route that answers GET needs a line here.

Names in braces come from `tests.world.World.names`. The list itself is checked against the URL resolver by
tests/dashboard/test_budget.py, which says what is missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

ANYTHING = {"uuid": "00000000-0000-0000-0000-000000000000", "int": 1, "slug": "x", "str": "x", "path": "x"}
ELSEWHERE = (
    "admin/",
    "streams/",
    "auth",
    "api/",
    "hooks/",
    "<str:name>.git/",
    "v2/",
    "^v2/",
    "_",
)  # the operators' site, and what only programs fetch


@dataclass(frozen=True)
class Page:
    """Something to open: `path` with the world's names in braces; by whom; whether it is a page to look at."""

    path: str
    who: str = "mara"  # or newcomer, who has nothing yet; empty: signed out
    whole: bool = True  # not a fragment or a file
    status: int = 200


def part(path: str) -> Page:
    return Page(path, whole=False)


def door(path: str) -> Page:
    return Page(path, who="")


def away(path: str) -> Page:
    """Sends who looks somewhere else, as long as they have not begun what it belongs to."""
    return Page(path, who="", whole=False, status=302)


def secure(path: str) -> Page:
    return Page(path, who="secure")


def first(path: str) -> Page:
    return Page(path, who="newcomer")


PAGES: dict[str, list[Page]] = {
    # board
    "board": [
        Page("/pipelines/{pipeline}/"),
        Page("/pipelines/{empty}/"),
        Page("/pipelines/{pipeline}/?q=nothing-like-it"),
        Page("/pipelines/{connected}/"),
    ],
    "coupling-new": [Page("/pipelines/{pipeline}/couplings/new/")],
    "coupling": [Page("/pipelines/{pipeline}/couplings/{app}/")],
    "promotion-new": [Page("/pipelines/{pipeline}/promotions/new/?from={from}")],
    "promotion": [Page("/pipelines/{pipeline}/promotions/{promotion}/")],
    "card": [part("/apps/{app}/card/")],
    "card-menu": [part("/apps/{app}/card/menu/")],
    "card-targets": [part("/apps/{app}/card/targets/")],
    # pipelines
    "pipelines": [Page("/"), first("/"), Page("/?q=nothing-like-it")],
    "pipeline-new": [Page("/pipelines/new/")],
    "pipeline-activity": [Page("/pipelines/{pipeline}/activity/")],
    "pipeline-activity-csv": [part("/pipelines/{pipeline}/activity.csv")],
    "pipeline-settings": [Page("/pipelines/{pipeline}/settings/")],
    "stage": [Page("/pipelines/{pipeline}/stages/production/")],
    "tests": [
        Page("/pipelines/{pipeline}/tests/"),
        Page("/pipelines/{pipeline}/tests/?branch=main"),
        Page("/pipelines/{empty}/tests/"),
    ],
    "test-run-new": [Page("/pipelines/{pipeline}/tests/new/"), Page("/pipelines/{empty}/tests/new/")],
    "test-run": [
        Page("/pipelines/{pipeline}/tests/1/"),
        Page("/pipelines/{pipeline}/tests/2/"),
        Page("/pipelines/{pipeline}/tests/2/?cases=failed&q=cart"),
    ],
    "test-settings": [
        Page("/pipelines/{pipeline}/settings/tests/"),
        Page("/pipelines/{empty}/settings/tests/"),
    ],
    "review-app-new": [
        Page("/pipelines/{connected}/review-apps/new/"),
        Page("/pipelines/{empty}/review-apps/new/"),
    ],
    "review-app": [Page("/pipelines/{connected}/review-apps/{review}/")],
    "review-app-card": [part("/pipelines/{connected}/review-apps/{review}/card/")],
    "review-app-removal": [Page("/pipelines/{connected}/review-apps/{review}/removal/")],
    "review-settings": [
        Page("/pipelines/{connected}/settings/review-apps/"),
        Page("/pipelines/{empty}/settings/review-apps/"),
    ],
    "pipeline-config": [Page("/pipelines/{pipeline}/config/"), Page("/pipelines/{empty}/config/")],
    "line": [
        Page("/pipelines/{pipeline}/stages/production/line/"),
        Page("/pipelines/{empty}/stages/production/line/"),
    ],
    "line-passages": [
        Page("/pipelines/{pipeline}/stages/production/passages/"),
        Page("/pipelines/{empty}/stages/production/passages/"),
    ],
    "gate-new": [
        Page(f"/pipelines/{{pipeline}}/stages/production/gates/new/{kind}/")
        for kind in ("ci", "healthy", "approval", "command", "http", "webhook", "window")
    ],
    "gate": [Page("/pipelines/{pipeline}/stages/production/gates/{gate}/")],
    "gate-removal": [Page("/pipelines/{pipeline}/stages/production/gates/{gate}/removal/")],
    "passage": [Page("/pipelines/{pipeline}/passages/{passage}/")],
    "passage-changes": [Page("/pipelines/{pipeline}/passages/{passage}/changes/")],
    "hold-new": [
        Page("/pipelines/{pipeline}/holds/new/"),
        Page("/pipelines/{pipeline}/holds/new/?stage=production"),
    ],
    "hold-lifting": [Page("/pipelines/{pipeline}/holds/{hold}/lifting/")],
    "freezes": [Page("/pipelines/{pipeline}/freezes/"), Page("/pipelines/{empty}/freezes/")],
    "freeze-removal": [Page("/pipelines/{pipeline}/freezes/{freeze}/removal/")],
    "transfers": [Page("/transfers/"), first("/transfers/")],
    "repository": [
        Page("/pipelines/{pipeline}/repository/"),
        Page("/pipelines/{connected}/repository/"),
        Page("/pipelines/{empty}/repository/"),
    ],
    "repository-removal": [Page("/pipelines/{connected}/repository/removal/")],
    "repository-receipts": [
        Page("/pipelines/{connected}/repository/receipts/"),
        Page("/pipelines/{empty}/repository/receipts/"),
    ],
    "as-code": [Page("/pipelines/{pipeline}/as-code/"), Page("/pipelines/{empty}/as-code/")],
    "as-code-file": [Page("/pipelines/{pipeline}/as-code/file/")],
    "slipway-yml": [part("/pipelines/{pipeline}/slipway.yml")],
    "proposal": [Page("/pipelines/{pipeline}/as-code/proposals/{proposal}/")],
    "pipeline-notifications": [
        Page("/pipelines/{pipeline}/notifications/"),
        Page("/pipelines/{empty}/notifications/"),
    ],
    "channel": [Page("/pipelines/{pipeline}/channels/{channel}/")],
    "account-notifications": [
        Page("/account/notifications/"),
        first("/account/notifications/"),
    ],
    "account-mails": [
        Page("/account/mails/"),
        Page("/account/mails/?pipeline={pipeline}"),
        first("/account/mails/"),
    ],
    "pipeline-removal": [Page("/pipelines/{pipeline}/removal/")],
    # an app's code
    "apps": [Page("/apps/"), first("/apps/")],
    "app-new": [Page("/apps/new/")],
    "app": [
        Page(f"/apps/{{{name}}}/") for name in ("app", "new", "crashed", "long", "building", "releasing")
    ],
    "addon": [Page("/apps/{app}/addons/{addon}/")],
    "database": [Page("/apps/{app}/addons/{addon}/data/"), Page("/apps/{app}/addons/{store}/data/")],
    "inbox": [
        Page("/apps/{app}/addons/{mailer}/mails/"),
        Page("/apps/{app}/addons/{mailer}/mails/?q=nothing-like-it"),
        Page("/apps/{quiet_app}/addons/{quiet}/mails/"),
    ],
    "mail": [
        Page(f"/apps/{{app}}/addons/{{mailer}}/mails/{{mail}}/?as={way}")
        for way in ("html", "text", "headers")
    ],
    "mail-html": [part("/apps/{app}/addons/{mailer}/mails/{mail}/html/")],
    "mail-source": [part("/apps/{app}/addons/{mailer}/mails/{mail}/source/")],
    "mail-attachment": [part("/apps/{app}/addons/{mailer}/mails/{mail}/attachments/1/")],
    "database-restores": [Page("/apps/{app}/addons/{addon}/data/backups/{backup}/restores/")],
    "database-copies": [Page("/apps/{app}/addons/{addon}/data/copies/")],
    "addon-home": [Page("/addons/{addon}/", whole=False, status=303)],
    "pipeline-resources": [Page("/pipelines/{pipeline}/resources/"), Page("/pipelines/{empty}/resources/")],
    "pipeline-addon-new": [Page("/pipelines/{pipeline}/catalog/heroku-postgresql/")],
    "pipeline-addon-sharing": [Page("/pipelines/{pipeline}/addons/{shared}/sharing/")],
    "pipeline-addon-balancing": [Page("/pipelines/{pipeline}/addons/{balancer}/balancing/")],
    "pipeline-addon-removal": [Page("/pipelines/{pipeline}/addons/{shared}/removal/")],
    "addon-sign-in": [Page("/addons/{addon}/sign-in/", whole=False, status=303)],
    "addon-new": [Page("/apps/{app}/catalog/heroku-postgresql/")],
    "addon-plan": [Page("/apps/{app}/addons/{addon}/plan/")],
    "addon-removal": [Page("/apps/{app}/addons/{addon}/removal/")],
    "attachments": [Page("/apps/{app}/attachments/"), Page("/apps/{new}/attachments/")],
    "app-resources": [Page("/apps/{app}/resources/"), Page("/apps/{new}/resources/")],
    "app-deploy": [
        Page("/apps/{app}/deploy/"),
        Page("/apps/{new}/deploy/"),
        Page("/apps/{following}/deploy/"),
    ],
    "build": [
        Page("/apps/{app}/builds/{build}/"),
        Page("/apps/{dev}/builds/{running}/"),
        Page("/apps/{crashed}/builds/{failed}/"),
    ],
    "app-releases": [Page("/apps/{app}/releases/"), Page("/apps/{new}/releases/")],
    "releases-compare": [
        Page("/apps/{app}/releases/compare/?base=1&head=2"),
        Page("/apps/{app}/releases/compare/"),
    ],
    "release": [Page("/apps/{app}/releases/2/"), Page("/apps/{releasing}/releases/{version}/")],
    "rollback-new": [Page("/apps/{app}/rollbacks/new/?to=1")],
    # an app's settings
    "app-config": [Page("/apps/{app}/config/"), Page("/apps/{new}/config/")],
    "config-file": [Page("/apps/{app}/config/file/")],
    "app-logs": [
        Page("/apps/{app}/logs/"),
        Page("/apps/{new}/logs/"),
        Page("/apps/{app}/logs/?q=nothing-like-it"),
    ],
    "app-alerts": [Page("/apps/{app}/alerts/")],
    "app-metrics": [
        Page("/apps/{app}/metrics/"),
        Page("/apps/{app}/metrics/?span=7d"),
        Page("/apps/{new}/metrics/?span=1h"),
    ],
    "app-logs-histogram": [part("/apps/{app}/logs/histogram/")],
    "app-logs-text": [part("/apps/{app}/logs/text/")],
    "log-archive": [
        Page("/apps/{app}/log-archive/"),
        Page("/apps/{app}/log-archive/?q=checkout&from=2024-01-01"),
        Page("/apps/{app}/log-archive/?q=nothing-like-it"),
        Page("/apps/{new}/log-archive/"),
    ],
    "app-activity": [Page("/apps/{app}/activity/"), Page("/apps/{new}/activity/")],
    "app-access": [Page("/apps/{app}/access/")],
    "app-settings": [Page("/apps/{app}/settings/")],
    "app-removal": [Page("/apps/{app}/removal/")],
    "outlets": [Page("/apps/{app}/outlets/")],
    "certificate-new": [Page("/apps/{app}/certificates/new/")],
    "certificate": [Page("/apps/{app}/certificates/{certificate}/")],
    # people
    "team-usage": [Page("/teams/{team}/usage/"), Page("/teams/{team}/usage/?month=2026-01")],
    "team-usage-csv": [part("/teams/{team}/usage.csv")],
    "pipeline-usage": [Page("/pipelines/{pipeline}/usage/"), Page("/pipelines/{empty}/usage/")],
    "pipeline-usage-csv": [part("/pipelines/{pipeline}/usage.csv")],
    "app-schedule": [Page("/apps/{app}/schedule/"), Page("/apps/{new}/schedule/")],
    "scheduled-job": [Page("/apps/{app}/schedule/{job}/")],
    "app-usage": [Page("/apps/{app}/usage/")],
    "app-usage-csv": [part("/apps/{app}/usage.csv")],
    "account-usage": [Page("/account/usage/"), first("/account/usage/")],
    "account-usage-csv": [part("/account/usage.csv")],
    "teams": [Page("/teams/"), first("/teams/")],
    "team": [Page("/teams/{team}/")],
    "team-activity": [Page("/teams/{team}/activity/")],
    "team-settings": [Page("/teams/{team}/settings/")],
    "team-removal": [Page("/teams/{team}/removal/")],
    "members": [Page("/teams/{team}/members/")],
    "member-removal": [Page("/teams/{team}/members/{member}/removal/")],
    "invitation": [
        door("/invitations/{invitation}/"),
        Page("/invitations/no-such-secret/", who="", status=404),
    ],
    "account": [Page("/account/")],
    "account-removal": [Page("/account/removal/")],
    "tokens": [Page("/account/tokens/"), first("/account/tokens/")],
    # the door
    "mfa_authenticate": [away("/sign-in/two-factor/")],
    "mfa_login_webauthn": [away("/sign-in/passkey/")],
    "account_reset_password": [door("/sign-in/forgotten/")],
    "account_reset_password_done": [door("/sign-in/forgotten/sent/")],
    "account_reset_password_from_key": [door("/sign-in/forgotten/x-y/")],
    "account_reset_password_from_key_done": [door("/sign-in/forgotten/done/")],
    "socialaccount_login_error": [Page("/sign-in/with/", who="", status=401)],
    "socialaccount_login_cancelled": [door("/sign-in/with/nothing/")],
    "account_reauthenticate": [Page("/account/confirm/")],
    "mfa_reauthenticate": [secure("/account/confirm/code/")],
    "mfa_reauthenticate_webauthn": [Page("/account/confirm/passkey/", who="secure", whole=False, status=302)],
    "email": [Page("/account/email/")],
    "account_confirm_email": [Page("/account/email/no-such-key/")],
    "password": [Page("/account/password/")],
    "two-factor": [Page("/account/two-factor/"), secure("/account/two-factor/")],
    "mfa_activate_totp": [Page("/account/two-factor/app/")],
    "mfa_deactivate_totp": [secure("/account/two-factor/app/removal/")],
    "mfa_view_recovery_codes": [secure("/account/two-factor/codes/")],
    "mfa_generate_recovery_codes": [secure("/account/two-factor/codes/new/")],
    "mfa_add_webauthn": [Page("/account/two-factor/passkeys/new/")],
    "mfa_edit_webauthn": [first("/account/two-factor/passkeys/{passkey}/name/")],
    "mfa_remove_webauthn": [first("/account/two-factor/passkeys/{passkey}/removal/")],
    "github_login": [door("/sign-in/with/github/")],
    "github_callback": [Page("/sign-in/with/github/callback/", who="", status=401)],
    "socialaccount_connections": [Page("/account/connections/")],
    "cli-sign-in": [Page("/sign-in/cli/{cli}/")],
    "sessions": [Page("/account/sessions/")],
    "oauth": [Page("/oauth/authorize?client_id={client}&response_type=code&scope=read+write-protected")],
    "programs": [Page("/account/programs/"), first("/account/programs/")],
    # the API's description
    "api-docs": [Page("/docs/api/"), door("/docs/api/")],
    "api-docs-tag": [Page("/docs/api/apps/"), door("/docs/api/add-ons/")],
    "openapi": [part("/docs/api/openapi.json")],
    # everywhere
    "jump": [Page("/jump/"), Page("/jump/?q=storefront"), Page("/jump/?q=nothing-like-it")],
    "restart-new": [Page("/apps/{app}/restarts/new/")],
    "sign-in": [door("/sign-in/")],
    "setup": [door("/setup/{setup}/"), Page("/setup/no-such-secret/", who="", status=404)],
}
ERRORS = [Page("/nothing/here/", status=404), Page("/apps/not-an-app/", status=404)]


def every() -> list[Page]:
    """All of them, fragments and files too."""
    return [page for pages in PAGES.values() for page in pages]


def to_look_at() -> list[Page]:
    """Those that a person sees whole, and what is shown instead of them."""
    return [*(page for page in every() if page.whole), *ERRORS]


def routes(prefix: str = "", resolver: URLResolver | None = None) -> Iterator[tuple[str, str]]:
    """The name of every route that the product's pages have, and an address of it that leads nowhere in particular."""
    resolver, seen = resolver or get_resolver(), set()
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if path.startswith(ELSEWHERE):
            continue
        if isinstance(pattern, URLResolver):
            yield from routes(path, pattern)
        elif isinstance(pattern, URLPattern) and pattern.name:
            given = {name: _sample(kind) for name, kind in pattern.pattern.converters.items()}
            for name in getattr(pattern.pattern, "regex").groupindex if not given else ():
                given[name] = "x"
            address = reverse(pattern.name, kwargs=given)
            if address not in seen:  # some go by two names
                yield pattern.name, address
            seen.add(address)


def answering_get(client: Client) -> list[str]:
    """The names of the routes that don't refuse GET as such (405) to who is signed in with `client`."""
    return [name for name, address in routes() if client.get(address).status_code != 405]


def _sample(converter: object) -> object:
    return ANYTHING[type(converter).__name__.removesuffix("Converter").lower().replace("string", "str")]
