"""What the pages of a pipeline's repository show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator

from dashboard.forms import Form
from dashboard.standing import Standing
from forge.actions import hook_url
from forge.code import place_of
from forge.models import Receipt, Report, Repository
from pipelines.access import MANAGE
from pipelines.models import Pipeline

PER_PAGE = 30
HOSTS = [("", "Find out by its address"), *Repository.Host.choices]
TOKENS = {
    "github": "A fine-grained token for this repository: Contents read, Pull requests and Commit statuses write, "
    "Webhooks write if Slipway is to add the hook.",
    "gitlab": "A project access token with the role Developer and the scope api; Maintainer if Slipway is to add the hook.",
    "gitea": "An access token with the scopes read and write of repository, and write of issue.",
    "bitbucket": "A repository access token with the scopes repository write, pull request write and webhook.",
    "git": "The password that git is asked for, as user:password where the user matters.",
}


@dataclass(frozen=True)
class Guide:
    """How a hook is added at a host by hand."""

    where: str
    kind: str = ""
    secret: str = "Secret"  # noqa: S105 what the field is called there
    events: Sequence[str] = ()


GUIDES = {
    "github": Guide(
        "Settings, Webhooks, Add webhook",
        kind="application/json",
        events=("Pushes", "Pull requests", "Statuses", "Check runs"),
    ),
    "gitlab": Guide(
        "Settings, Webhooks, Add new webhook",
        secret="Secret token",  # noqa: S106
        events=("Push events", "Merge request events", "Pipeline events"),
    ),
    "gitea": Guide(
        "Settings, Webhooks, Add webhook, Gitea or Forgejo",
        kind="application/json, POST",
        events=("Push", "Delete", "Pull request", "Pull request synchronized", "Commit status"),
    ),
    "bitbucket": Guide(
        "Repository settings, Webhooks, Add webhook",
        events=("Push", "Pull request created, updated, merged, declined", "Build status created, updated"),
    ),
}


def context(pipeline: Pipeline, rights: frozenset[str], form: Form, *, secret: str = "") -> dict[str, Any]:
    """The page of the repository. `secret` is shown this once."""
    repository = Repository.objects.select_related("by").filter(pipeline=pipeline).first()
    shown: dict[str, Any] = {
        "pipeline": pipeline,
        "tab": "settings",
        "section": "repository",
        "may_manage": MANAGE in rights,
        "form": form,
        "repository": repository,
        "secret": secret,
        "hosts": HOSTS,
    }
    if repository is None:
        return {**shown, "place": place_of(pipeline), "tokens": TOKENS}
    form.over({"default_branch": repository.default_branch, "polls": "on" if repository.polls else ""})
    return {**shown, **_connected(pipeline, repository)}


def _connected(pipeline: Pipeline, repository: Repository) -> dict[str, Any]:
    repository.pipeline = pipeline
    return {
        "place": None,
        "has_token": bool(repository.sealed_token),
        "has_secret": bool(repository.sealed_secret),
        "hook_url": hook_url(repository),
        "guide": GUIDES.get(repository.host),
        "token_hint": TOKENS[repository.host],
        "last": Receipt.objects.filter(repository=repository).first(),
        "trouble": _trouble(repository),
        "poll_seconds": f"{settings.POLL_SECONDS:g}",
        "branches": sorted(repository.heads)[:200],
    }


def _trouble(repository: Repository) -> str:
    """Why the last report came to nothing, if it did."""
    last = Report.objects.filter(repository=repository).exclude(status__in=("pending", "running")).first()
    return last.reason if last and last.status == Report.Status.FAILED else ""


@dataclass(frozen=True)
class Line:
    """A receipt as the list shows it."""

    receipt: Receipt
    state: Standing


def receipts(pipeline: Pipeline, rights: frozenset[str], number: str) -> dict[str, Any]:
    """The page of hooks that came."""
    repository = Repository.objects.filter(pipeline=pipeline).first()
    rows = Receipt.objects.filter(repository=repository) if repository else Receipt.objects.none()
    page = Paginator(rows, PER_PAGE).get_page(number)
    return {
        "pipeline": pipeline,
        "tab": "settings",
        "section": "repository",
        "may_manage": MANAGE in rights,
        "repository": repository,
        "page": page,
        "lines": [Line(row, _state(row)) for row in page],
    }


def _state(row: Receipt) -> Standing:
    if not row.accepted:
        return Standing("failed", "Turned down")
    idle = all(said in QUIET or said.startswith(("It came late", "Events of")) for said in row.caused)
    return Standing("idle", "Started nothing") if idle else Standing("passed", "Taken")


QUIET = {"Nothing waits for it.", "Known already.", "Tags start nothing."}
