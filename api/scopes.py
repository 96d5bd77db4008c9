"""Which scope of a token a call needs. What is not told of here needs `global`, so that nothing new is open by mistake."""

import re

from accounts.scopes import GLOBAL, IDENTITY, READ, READ_PROTECTED, WRITE, WRITE_PROTECTED

SAFE = ("GET", "HEAD", "OPTIONS")
RULES = [
    (re.compile(pattern), *needed)
    for pattern, needed in (
        (r"/account(/features(/[^/]+)?|/rate-limits)?|/users/[^/]+|/teams/permissions", (IDENTITY, GLOBAL)),
        # What tells config vars or credentials, what runs a command beside them, and what lets others in.
        (r".*/(config|config-vars|sso|log-drains)(/.*)?", (READ_PROTECTED, WRITE_PROTECTED)),
        (r"/apps/[^/]+/dynos(/[^/]+)?|/api/v2(/[^/]+)?", (READ, WRITE_PROTECTED)),
        (r"/pipelines/[^/]+/repo(/secret)?", (READ, WRITE_PROTECTED)),
        (r".*/(collaborators|members|invitations)(/.*)?", (READ, WRITE_PROTECTED)),
        (r"/account/app-transfers(/.*)?|/pipeline-transfers(/.*)?", (READ, WRITE_PROTECTED)),
        (r"/teams/apps/[^/]+", (READ, WRITE_PROTECTED)),
        (r"/(client/v11|postgres|data|redis|reports)(/.*)?", (READ_PROTECTED, WRITE_PROTECTED)),
        (r"/filters/apps|/actions/[\w-]+/resolve|/apps/[^/]+/log-sessions", (READ, READ)),
        (
            r"/(apps|pipelines|pipeline-couplings|pipeline-promotions|teams|addons|addon-services|addon-attachments"
            r"|addon-regions|plans|sources|regions|stacks|dyno-sizes|schema|spaces|buildpacks|test-runs|review-apps"
            r"|app-setups)(/.*)?|/users/[^/]+/(apps|addons|pipeline-couplings)|/accounts/[^/]+/actions/get-quota",
            (READ, WRITE),
        ),
    )
]


def needed(method: str, path: str) -> str:
    """The scope that a call needs. Restarting and stopping dynos runs nothing new, so it needs no more than scaling."""
    if re.fullmatch(r"/apps/[^/]+/dynos(/[^/]+)?", path) and method == "DELETE":
        return WRITE
    for pattern, to_read, to_write in RULES:
        if pattern.fullmatch(path):
            return to_read if method in SAFE else to_write
    return GLOBAL
