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
    (r"/(invoices|teams/[^/]+/invoices|account/(credits|invoices))(/.*)?", "Nothing is billed here."),
]
UNKNOWN = "The requested API endpoint was not found."


def why(path: str) -> str:
    """What to tell who called `path`, which is no endpoint of ours."""
    return next((text for pattern, text in FAMILIES if re.fullmatch(pattern, path)), UNKNOWN)
