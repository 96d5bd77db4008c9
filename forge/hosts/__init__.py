"""The hosts of repositories: which there are, where their APIs are, and what these are asked to do.

Requests go through the one way out (I-41), with the token in a header; what the host answers is shown to nobody but
for its status.
"""

from urllib.parse import urlsplit

from forge.hosts.api import Api, Denied, Found
from forge.hosts.bitbucket import Bitbucket
from forge.hosts.github import Gitea, Github
from forge.hosts.gitlab import Gitlab
from forge.models import Repository

__all__ = ["Api", "Denied", "Found", "api_of", "api_url_of", "git_user", "guess", "make_api"]

_APIS: dict[str, type[Api]] = {
    Repository.Host.GITHUB: Github,
    Repository.Host.GITLAB: Gitlab,
    Repository.Host.GITEA: Gitea,
    Repository.Host.BITBUCKET: Bitbucket,
}
_BASES = {
    Repository.Host.GITHUB: "/api/v3",
    Repository.Host.GITLAB: "/api/v4",
    Repository.Host.GITEA: "/api/v1",
    Repository.Host.BITBUCKET: "/2.0",
}
_KNOWN = {"github.com": "https://api.github.com", "bitbucket.org": "https://api.bitbucket.org/2.0"}
_USERS = {  # whom git says it is, with a token for a password
    Repository.Host.GITHUB: "x-access-token",
    Repository.Host.GITLAB: "oauth2",
    Repository.Host.GITEA: "oauth2",
    Repository.Host.BITBUCKET: "x-token-auth",
}


def api_of(repository: Repository) -> Api | None:
    """The API of the repository's host; None when it has none, or no token is known for it."""
    return make_api(repository.host, repository.api_url, repository.full_name, repository.token)


def make_api(host: str, api_url: str, full_name: str, token: str) -> Api | None:
    """The API of a repository that may not be connected yet."""
    kind = _APIS.get(host)
    return kind(api_url, full_name, token) if kind and api_url and token else None


def api_url_of(host: str, url: str) -> str:
    """Where the API of the host is that has the repository at `url`; empty for none."""
    if host not in _BASES:
        return ""
    parts = urlsplit(url)
    return _KNOWN.get(parts.hostname or "", f"{parts.scheme}://{parts.netloc}{_BASES[Repository.Host(host)]}")


def guess(url: str) -> str:
    """Which kind of host has the repository at `url`, by its name."""
    name = urlsplit(url).hostname or ""
    if name == "github.com" or "github" in name:
        return Repository.Host.GITHUB
    if "gitlab" in name:
        return Repository.Host.GITLAB
    if name == "bitbucket.org":
        return Repository.Host.BITBUCKET
    if name == "codeberg.org" or "gitea" in name or "forgejo" in name:
        return Repository.Host.GITEA
    return Repository.Host.GIT


def git_user(host: str, token: str) -> str:
    """User and password that git shows, as `user:password`. A token that is that already is taken as it is."""
    if host == Repository.Host.GIT:
        return token if ":" in token else f"git:{token}"
    return f"{_USERS[Repository.Host(host)]}:{token}"
