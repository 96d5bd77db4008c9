"""What we tell a repository's host: how it stands with a commit, and the one comment that we keep on a pull request.

Only a row is written here, in the transaction of what it is about; the conductor carries it to the host, and tries
again for a while. Of several about the same thing the newest is told.
"""

from django.db import transaction

from core import live
from forge.models import CommitStatus, PullRequest, Report, Repository
from pipelines.models import Pipeline

LONGEST_TEXT = 20_000


@transaction.atomic
def report(
    pipeline: Pipeline, commit: str, context: str, state: str, description: str = "", url: str = ""
) -> Report | None:
    """Have the host say of `commit` that `context` (`slipway/tests`) is `state`: pending, success, failure or error.
    `description` is for people, `url` leads to more. None when there is no host that could be told."""
    repository = _told(pipeline)
    if repository is None or not commit:
        return None
    return _queue(
        repository,
        f"{commit}/{context}",
        commit=commit,
        context=context[:100],
        state=CommitStatus.State(state),
        description=description[:140],
        url=url[:1000],
    )


@transaction.atomic
def comment(pull_request: PullRequest, text: str) -> Report | None:
    """Keep one comment of ours on a pull request, which says `text` (Markdown) from now on. None when there is no
    host that could be told."""
    repository = _told(pull_request.repository.pipeline)
    if repository is None:
        return None
    return _queue(
        repository, f"comment/{pull_request.number}", pull_request=pull_request, text=text[:LONGEST_TEXT]
    )


def _told(pipeline: Pipeline) -> Repository | None:
    """The connected repository, if its host takes reports from us."""
    return Repository.objects.filter(pipeline=pipeline).exclude(api_url="").exclude(sealed_token="").first()


def _queue(repository: Repository, subject: str, **what: object) -> Report:
    about = Report.objects.filter(repository=repository, subject=subject[:300])
    about.filter(status=Report.Status.PENDING, attempt=0).delete()  # never told: this one says it better
    made = Report.objects.create(repository=repository, subject=subject[:300], **what)
    live.wake_conductor()
    return made
