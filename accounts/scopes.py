"""What a token may be used for: Heroku's scopes. A token never does more than its scopes and its owner may."""

from collections.abc import Iterable, Sequence

from accounts.models import ApiToken
from core.errors import Forbidden, Refusal

IDENTITY, READ, WRITE = "identity", "read", "write"
READ_PROTECTED, WRITE_PROTECTED, GLOBAL = "read-protected", "write-protected", "global"

# For people who are asked for their consent.
SCOPES = {
    IDENTITY: "See who you are: your name and e-mail address",
    READ: "See your apps and pipelines, without their config vars",
    WRITE: "See and change your apps and pipelines, without their config vars",
    READ_PROTECTED: "See your apps and pipelines with their config vars",
    WRITE_PROTECTED: "See and change your apps and pipelines with their config vars, and share them",
    GLOBAL: "Do all that you may do, with your account too",
}
_GIVES = {
    IDENTITY: {IDENTITY},
    READ: {IDENTITY, READ},
    WRITE: {IDENTITY, READ, WRITE},
    READ_PROTECTED: {IDENTITY, READ, READ_PROTECTED},
    WRITE_PROTECTED: {IDENTITY, READ, WRITE, READ_PROTECTED, WRITE_PROTECTED},
    GLOBAL: set(SCOPES),
}


def allows(scope: Iterable[str], needed: str) -> bool:
    """Whether a token with this `scope` may do what needs `needed`."""
    return any(needed in _GIVES.get(one, ()) for one in scope)


def demand(token: ApiToken | None, needed: str) -> None:
    """`Forbidden` when `token` is not for what needs `needed`. A person without a token, on pages, needs none."""
    if token is not None and not allows(token.scope, needed):
        raise Forbidden(
            f"This token has the scope {' '.join(token.scope)}; this needs {needed}. "
            "Use one with a wider scope: heroku authorizations:create."
        )


def checked(asked: Sequence[str]) -> list[str]:
    """`asked` without repetitions, in order of `SCOPES`; none means all. `Refusal` for one that is not there."""
    unknown = [one for one in asked if one not in SCOPES]
    if unknown:
        raise Refusal(
            f"There is no scope {unknown[0][:40]}. Scopes: {', '.join(SCOPES)}.", id="invalid_params"
        )
    return [one for one in SCOPES if one in asked] or [GLOBAL]
