"""Whether a hook comes from its repository's host: looked at before its body is read (I-43).

GitHub, Gitea and Bitbucket sign the body with the secret, GitLab sends the secret itself. Only the way of the
repository's own host counts: what another host would send, or a weaker way of the same one, is no signature.
"""

import hashlib
import hmac
import secrets as random
from collections.abc import Mapping

from core import secrets
from forge.models import Repository

Host = Repository.Host
_NOBODY = random.token_hex(32)  # what is compared with where there is no repository, or no secret

_EVENTS = {
    Host.GITHUB: "X-GitHub-Event",
    Host.GITLAB: "X-Gitlab-Event",
    Host.GITEA: "X-Gitea-Event",
    Host.BITBUCKET: "X-Event-Key",
}
_DELIVERIES = {
    Host.GITHUB: ("X-GitHub-Delivery",),
    Host.GITLAB: ("Idempotency-Key", "X-Gitlab-Event-UUID"),
    Host.GITEA: ("X-Gitea-Delivery",),
    Host.BITBUCKET: ("X-Request-UUID",),
}


def holds(repository: Repository | None, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether `headers` prove that `body` comes from the repository's host. False, after as much work, for a repository
    that is None, has no secret, or whose host sends no hooks."""
    secret = repository.secret if repository else ""
    given, wanted = _proof(repository.host if repository else Host.GITHUB, secret or _NOBODY, headers, body)
    return secrets.same(given, wanted) and bool(secret)


def event_of(host: str, headers: Mapping[str, str]) -> str:
    """What the host calls the hook."""
    return _clean(headers.get(_EVENTS.get(Host(host), ""), ""), 60)


def delivery_of(host: str, headers: Mapping[str, str]) -> str:
    """What the host counts the hook by; empty when it does not say."""
    names = _DELIVERIES.get(Host(host), ())
    return next((text for name in names if (text := _clean(headers.get(name, ""), 100))), "")


def _proof(host: str, secret: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """What was given, and what should have been."""
    signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if host == Host.GITLAB:
        return _text(headers, "X-Gitlab-Token"), secret
    if host == Host.GITEA:
        return _text(headers, "X-Gitea-Signature"), signed
    if host == Host.BITBUCKET:
        return _text(headers, "X-Hub-Signature"), f"sha256={signed}"
    if host == Host.GITHUB:
        return _text(headers, "X-Hub-Signature-256"), f"sha256={signed}"
    return "", signed


def _text(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name, "").encode("utf-8", "replace").decode()


def _clean(text: str, most: int) -> str:
    return "".join(char for char in text if char.isprintable())[:most]
