"""A push starts a test run, where the pipeline's settings say so."""

from collections.abc import Iterable

from ci import actions
from ci.settings import settings_of
from core.errors import Refusal
from forge.events import News, Pushed


def hear(news: News) -> Iterable[str]:
    """Listens to news of code; see `forge.events`."""
    if not isinstance(news, Pushed) or not news.commit:
        return
    chosen = settings_of(news.pipeline)
    if not chosen.on_push:
        return
    try:
        run = actions.start_run_of_push(
            news.pipeline,
            news.branch,
            news.commit,
            message=news.message,
            author=news.author,
            by=news.by or chosen.by,
        )
    except Refusal as refusal:
        yield f"No tests: {refusal.message}"
        return
    if run is None:
        return
    yield f"Started test run {run.number}."
    if chosen.supersede:
        for older in actions.supersede(news.pipeline, news.branch, by=run):
            yield f"Cancelled test run {older.number}, which had not begun."
