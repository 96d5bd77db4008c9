"""Where the releases of a stage's apps come from: anywhere, builds of their own, or promotions only."""

from collections.abc import Iterator, Sequence

from accounts.models import User
from apps import access as app_access
from apps.models import App
from pipelines.guards import Attempt
from pipelines.models import Coupling, Stage

NAMED = 3  # apps that a refusal names


def closed_to_code(app: App, by: User | None) -> Iterator[str]:
    """Why the app takes no push, build or slug, if its stage takes promotions only; with where to bring code instead."""
    rows = Coupling.objects.filter(app=app, stage__source=Stage.Origin.PROMOTION)
    if not rows.exists():  # asked several times per push, and nearly always so
        return
    for coupling in rows.select_related("stage__pipeline"):
        where = _instead(coupling, by)
        yield f"{app.name} takes releases by promotion only, as {coupling.stage.title} says. {where}"


def closed_to_promotions(attempt: Attempt) -> Iterator[str]:
    """Why nothing is promoted to the target, if its stage's apps build their releases themselves."""
    stage = attempt.target.stage
    if stage.source == Stage.Origin.OWN:
        yield f"The apps of {stage.title} build their own releases: nothing is promoted to {attempt.target.app.name}."


def _instead(coupling: Coupling, by: User | None) -> str:
    """Where code can be brought: the apps that `by` sees in the nearest stage before this one that takes it."""
    rows = Coupling.objects.filter(
        pipeline=coupling.pipeline_id, stage__position__lt=coupling.stage.position, app__destroyed_at=None
    ).exclude(stage__source=Stage.Origin.PROMOTION)
    if by is not None:
        rows = rows.filter(app__in=app_access.apps_for(by))
    rows = rows.exclude(stage__word=Stage.Word.REVIEW).select_related("app", "stage")
    found = list(rows.order_by("-stage__position", "app__name"))
    names = [row.app.name for row in found if row.stage_id == found[0].stage_id][:NAMED]
    if not names:
        return "Put an app into an earlier stage, push to that, and promote it."
    return f"Push to {_either(names)} instead, and promote it."


def _either(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
