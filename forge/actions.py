"""What is done with the repository of a pipeline: connected, changed, left; its secret, and the hook at its host."""

import secrets as random
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from core import activity, live
from core.errors import Conflict, EngineError, Refusal
from forge import credentials, hosts, polling
from forge.models import Report, Repository
from pipelines.models import Pipeline
from releases import remotes

LONGEST_TOKEN = 1000


@dataclass(frozen=True)
class Seen:
    """What a look at a repository found, before anything is written."""

    url: str
    host: str
    api_url: str
    full_name: str
    default_branch: str
    private: bool
    heads: dict[str, str]
    pulls: dict[str, str]


def look(url: str, *, host: str = "", token: str = "", default_branch: str = "") -> Seen:
    """Look at a repository as `connect` would have it: git must be able to read it, and with a token the host's API must
    know it. Waits for the host. `Refusal` says what is wrong."""
    url, token = remotes.check_url(url), check_token(token)
    host = host if host in Repository.Host.values else hosts.guess(url)
    full_name = urlsplit(url).path.strip("/").removesuffix(".git")[:250]
    api_url = hosts.api_url_of(host, url)
    try:
        listed, private = _listed(url, host, token)
        api = hosts.make_api(host, api_url, full_name, token)
        found = api.find() if api else None
    except hosts.Denied as no:
        raise Refusal(no.message, fields={"token": no.message}) from no
    except EngineError as fault:
        raise Refusal(f"{fault} Nothing was changed.", fields={"url": str(fault)}) from fault
    branch = default_branch.strip() or (found.default_branch if found else "") or listed.default or "main"
    _check_branch(branch, listed)
    name = found.full_name if found else full_name
    return Seen(url, host, api_url, name, branch, private, listed.branches, polling.pulls_of(listed))


def _listed(url: str, host: str, token: str) -> tuple[remotes.Listed, bool]:
    """What git sees, and whether it needs the token for it."""
    try:
        return remotes.look(url, *polling.PATTERNS), False
    except Refusal as no:
        if not token:
            raise Refusal(no.message, fields={"url": no.message}) from no
    try:
        return remotes.look(url, *polling.PATTERNS, authorization=credentials.header(host, token)), True
    except Refusal as no:
        raise Refusal(no.message, fields={"token": no.message}) from no


def check_token(token: str) -> str:
    """The token, stripped; `Refusal` for what no header could carry."""
    token = token.strip()
    if len(token) > LONGEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise Refusal("This is no token.", fields={"token": "This is no token: check what you pasted."})
    return token


def _check_branch(branch: str, listed: remotes.Listed) -> None:
    remotes.check_ref(branch)
    if listed.branches and branch not in listed.branches:
        message = f"The repository has no branch {branch[:60]}."
        raise Refusal(message, fields={"default_branch": message})


def connect(
    pipeline: Pipeline,
    url: str,
    *,
    host: str = "",
    token: str = "",
    default_branch: str = "",
    polls: bool = True,
    by: User,
) -> tuple[Repository, str]:
    """Have the pipeline's code be in the repository at `url` from now on. Waits for its host. Returns it with the secret
    that its hooks are to be signed with, which is never told again."""
    seen = look(url, host=host, token=token, default_branch=default_branch)
    with transaction.atomic():
        Pipeline.objects.select_for_update(of=("self",)).get(pk=pipeline.pk)
        if Repository.objects.filter(pipeline=pipeline).exists():
            raise Conflict(f"{pipeline.name} is connected to a repository already. Disconnect it first.")
        repository = Repository(pipeline=pipeline, by=by, polls=polls, polled_at=timezone.now())
        _take(repository, seen)
        repository.token = check_token(token)
        secret = _renew_secret(repository)
        repository.save(force_insert=True)
        activity.record(by, "connected", pipeline, repository=repository.full_name, url=repository.url)
        live.tell(pipeline.topic)
    return repository, secret


def change(
    repository: Repository, *, token: str | None = None, default_branch: str = "", polls: bool, by: User
) -> Repository:
    """Change what can be: the token (None: as it is, empty: none), the default branch, whether it is looked at without
    hooks. Waits for the host. Who changes it answers for it from now on."""
    shown = repository.token if token is None else check_token(token)
    seen = look(
        repository.url,
        host=repository.host,
        token=shown,
        default_branch=default_branch or repository.default_branch,
    )
    with transaction.atomic():
        row = Repository.objects.select_for_update(of=("self",)).get(pk=repository.pk)
        heads, pulls = row.heads, row.pulls if row.polls else seen.pulls
        _take(row, seen)
        row.heads, row.pulls = heads, pulls  # what is new since is for the next look, or hook
        row.token, row.polls, row.by, row.error, row.failures = shown, polls, by, "", 0
        row.save()
        activity.record(
            by,
            "changed the repository of",
            row.pipeline,
            repository=row.full_name,
            token="new" if token else "none" if token == "" else "kept",
            polls=polls,
        )
        live.tell(row.pipeline.topic)
    return row


def disconnect(repository: Repository, *, by: User) -> str:
    """Have the pipeline's code be in its apps' own repositories again. Its pull requests, receipts and what it was to be
    told go with it, and so does the hook that was made at its host, which is waited for; apps and their releases stay.
    Returns what is left to do by hand, in a sentence; empty for nothing."""
    left = _remove_hook(repository)
    with transaction.atomic():
        activity.record(by, "disconnected", repository.pipeline, repository=repository.full_name)
        live.tell(repository.pipeline.topic)
        repository.delete()
    return left


@transaction.atomic
def renew_secret(repository: Repository, *, by: User) -> str:
    """Another secret for its hooks: the old one is good for nothing any more. Returned once."""
    row = Repository.objects.select_for_update(of=("self",)).get(pk=repository.pk)
    secret = _renew_secret(row)
    row.save(update_fields=["sealed_secret", "updated_at"])
    activity.record(by, "renewed the hooks' secret of", row.pipeline, repository=row.full_name)
    return secret


def turn_hooks_off(repository: Repository, *, by: User) -> str:
    """Take no hooks any more: without a secret none is proven. One that was made at the host is removed there, which is
    waited for. Returns what is left to do by hand, in a sentence; empty for nothing."""
    left = _remove_hook(repository)
    with transaction.atomic():
        Repository.objects.filter(pk=repository.pk).update(sealed_secret="", hook_ref="")
        activity.record(by, "turned hooks off for", repository.pipeline, repository=repository.full_name)
    return left


def _remove_hook(repository: Repository) -> str:
    """Have the host send no more hooks, if it was asked to. Its refusal keeps nobody from leaving it."""
    if not repository.hook_ref:
        return ""
    api = hosts.api_of(repository)
    try:
        if api is None:
            raise Refusal("There is no token for its API.")
        api.remove_hook(repository.hook_ref)
    except (Refusal, EngineError) as fault:
        return f"Remove the hook at {repository.get_host_display()} by hand: {fault}"
    return ""


def make_hook(repository: Repository, *, by: User) -> Repository:
    """Have the host send hooks, through its API, with a new secret that nobody needs to see. Waits for the host. Where
    one leads here already it is replaced."""
    api = hosts.api_of(repository)
    if api is None:
        raise Refusal("Without a token for the host's API, add the hook there by hand.")
    secret = random.token_hex(32)
    before = repository.sealed_secret
    repository.secret = secret
    Repository.objects.filter(pk=repository.pk).update(sealed_secret=repository.sealed_secret)
    try:
        ref = api.make_hook(hook_url(repository), secret)
    except (Refusal, EngineError) as fault:
        Repository.objects.filter(pk=repository.pk, sealed_secret=repository.sealed_secret).update(
            sealed_secret=before
        )
        raise Refusal(f"The hook could not be made: {fault} The secret is the one before.") from fault
    with transaction.atomic():
        Repository.objects.filter(pk=repository.pk).update(hook_ref=ref[:100])
        activity.record(by, "made a hook for", repository.pipeline, repository=repository.full_name)
    repository.hook_ref = ref[:100]
    return repository


def hook_url(repository: Repository) -> str:
    """Where its hooks are sent to."""
    return settings.URL + reverse("repository-hooks", args=[repository.pk], urlconf="forge.urls")


@transaction.atomic
def forget_reports() -> int:
    """Delete what hosts were told long ago; returns how much."""
    limit = timezone.now() - timedelta(days=settings.KEEP_WEBHOOK_DAYS)
    return Report.objects.filter(finished_at__lt=limit).delete()[0]


def _take(repository: Repository, seen: Seen) -> None:
    for name in ("url", "host", "api_url", "full_name", "default_branch", "private", "heads", "pulls"):
        setattr(repository, name, getattr(seen, name))


def _renew_secret(repository: Repository) -> str:
    secret = random.token_hex(32)
    repository.secret = secret
    return secret
