"""What git shows to the host of a connected repository."""

import base64

from forge.hosts import git_user
from forge.models import Grant, Repository
from releases.models import Source


def header(host: str, token: str) -> str:
    """The Authorization header for git; empty without a token."""
    return f"Basic {base64.b64encode(git_user(host, token).encode()).decode()}" if token else ""


def header_of(repository: Repository) -> str:
    """What git shows where `repository` is fetched: nothing when it can be read without."""
    return header(repository.host, repository.token) if repository.private else ""


def lent_to(source: Source) -> str:
    """The header for a source that was made from a connected repository, as long as that is where it was."""
    grant = Grant.objects.select_related("repository").filter(source=source).first()
    return header_of(grant.repository) if grant and grant.repository.url == source.repository else ""
