"""What Heroku's API has and this one has not: said of each family of calls, with what to do instead."""

import re

FAMILIES = [
    (r"/apps/[^/]+/oci-images(/.*)?", "Apps run slugs here, not images: push their code with git."),
    (
        r"/client/v11/.*|/postgres/.*|/data/.*|/redis/.*",
        "This Slipway's databases can't do that: heroku help pg and docs/addons.md say what they can.",
    ),
    (r"/spaces(/.*)?", "There are no private spaces here."),
    (r"/enterprise-accounts(/.*)?", "There are no enterprise accounts here: people share what is a team's."),
    (r"/apps/[^/]+/(acm|ssl-endpoints)(/.*)?", "Certificates of an app are its SNI endpoints."),
    (
        r"/apps/[^/]+/(telemetry-drains|outbound-ruleset).*|/telemetry-drains(/.*)?",
        "It is not served here. heroku drains sends logs on.",
    ),
    (
        r"/(invoices|teams/[^/]+/(invoices|delinquency)|account/(credits|invoices|invoice-address|delinquency))(/.*)?",
        "Nothing is billed here.",
    ),
    (r"/oauth/tokens(/.*)?", "Programs get tokens from POST /oauth/token, as OAuth 2 has it: docs/cli.md."),
    (r"/password-resets(/.*)?|/users/[^/]+/sms-number(/.*)?", "Who forgot a password uses the sign-in page."),
    (r"/(organizations|invitations)(/.*)?", "Organizations are teams here: GET /teams, POST /teams/apps."),
    (
        r"/teams/[^/]+/(identity-providers|preferences|allowed-addon-services|spaces)(/.*)?",
        "Teams have no such settings here. The operator chooses sign-in and add-ons for all: docs/operating.md.",
    ),
    (r"/teams/[^/]+/usage/(daily|monthly)", "What dynos and add-ons used is on the page Usage."),
    (r"/teams/invitations/.*", "Invitations are accepted by their link, in a browser."),
    (
        r"/addons/[^/]+/(webhooks|webhook-events|webhook-deliveries|actions/deprovision)(/.*)?",
        "Partners of add-ons have no such call here: docs/addons.md says which they have.",
    ),
    (
        r"/apps/[^/]+/build-metadata",
        "The repository is had by heroku git:clone; builds:cache:purge empties the cache.",
    ),
    (r"/(generations|teams/[^/]+/available-generations)(/.*)?", "All apps are of one generation here."),
]
UNKNOWN = "The requested API endpoint was not found."


def why(path: str) -> str:
    """What to tell who called `path`, which is no endpoint of ours."""
    return next((text for pattern, text in FAMILIES if re.fullmatch(pattern, path)), UNKNOWN)
