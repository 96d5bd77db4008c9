"""News of code that is pushed here: what is pushed to an app of a pipeline that has no connected repository."""

from django.db import transaction

from core import activity
from forge.events import Pushed, tell
from forge.models import Repository
from pipelines.models import Coupling
from releases import repositories
from releases.pushed import Moved


def pushed(move: Moved) -> None:
    """Tell of a branch that a push to an app has moved."""
    row = (
        Coupling.objects.filter(app=move.app, app__ephemeral="", app__destroyed_at=None)
        .select_related("pipeline__team", "pipeline__user")
        .first()
    )
    if row is None or Repository.objects.filter(pipeline=row.pipeline).exists():
        return
    commit = next(iter(repositories.commits_between(move.app, "", move.commit, limit=1)), None)
    news = Pushed(
        pipeline=row.pipeline,
        branch=move.branch,
        commit=move.commit,
        message=commit.message[:500] if commit else "",
        author=commit.author[:200] if commit else "",
        by=move.by,
        files=repositories.files_between(move.app, move.before, move.commit),
    )
    with transaction.atomic(), activity.coming("git"):
        tell(news)
