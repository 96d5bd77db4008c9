"""The overview of an app: how it stands, what waits to be promoted to it, and what happened last."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, OuterRef, Subquery

from accounts.models import User
from apps import access
from apps.models import App, Domain
from dashboard import feed, metric_panels, panels
from dashboard.drift import commits_ahead
from pipelines.models import Coupling, Stage
from releases.models import Release

EVENTS = 8


def context(app: App, user: User) -> dict[str, Any]:
    """All of it, in a number of queries that grows with nothing."""
    facts = _facts(app)
    coupling = getattr(facts, "coupling", None)
    shown = panels.stand(app)
    now = shown["now"]
    return {
        **panels.frame_of(app, user, "overview", coupling),
        **shown,
        "upstream": _upstream(app, coupling, now.current, user),
        "web_url": app.web_url,
        "git_url": app.git_url,
        "hostname": facts.hostname,
        "more_hostnames": (facts.hostnames or 0) - 1,
        "first_steps": now.newest is None and now.build is None,
        "sizes": panels.sizes(),
        "last_hour": metric_panels.last_hour(app),
        "crashes": max((dyno.crashes or 1 for dyno in now.failing), default=0),
        "feed": feed.entries(panels.events(app)[:EVENTS]),
        "attachments": list(panels.attachments(app)),
    }


def _facts(app: App) -> Any:
    """The place of `app` in a pipeline and the host names of its own, in one query."""
    own = Domain.objects.filter(app=OuterRef("pk")).order_by("hostname")
    count = own.order_by().values("app").annotate(n=Count("pk")).values("n")
    rows = App.objects.select_related(
        "coupling__stage", "coupling__pipeline__team", "coupling__pipeline__user"
    ).annotate(hostname=Subquery(own.values("hostname")[:1]), hostnames=Subquery(count))
    return rows.get(pk=app.pk)


@dataclass(frozen=True)
class Upstream:
    """An app of the stage before that runs other code. `commits` is how many are new in it; 0: unknown."""

    app: App
    commits: int
    words: str


def _upstream(app: App, coupling: Coupling | None, current: Release | None, user: User) -> Upstream | None:
    """What waits to be promoted here: of the apps of the stage before, the one that is furthest ahead."""
    if coupling is None:
        return None
    found = []
    mine = current.slug if current else None
    for release in _running_before(coupling, user):
        theirs = release.slug
        if theirs is None or (mine and mine.digest == theirs.digest):
            continue
        commits = commits_ahead(theirs, mine) if mine else None
        if commits != 0:
            found.append(Upstream(release.app, commits or 0, _words(release.app, commits)))
    return max(found, key=lambda one: one.commits, default=None)


def _words(upstream: App, commits: int | None) -> str:
    if not commits:
        return f"{upstream.name} runs other code than this"
    return f"{commits} commit{'s are' if commits > 1 else ' is'} waiting in {upstream.name}"


def _running_before(coupling: Coupling, user: User) -> Sequence[Release]:
    """What serves in the stage whose promotions come here by default, as far as `user` may see it."""
    earlier = Stage.objects.filter(pipeline=coupling.pipeline_id, position__lt=coupling.stage.position)
    before = Subquery(earlier.order_by("-position").values("pk")[:1])
    rows = Release.objects.filter(
        app__in=access.apps_for(user).filter(coupling__stage=before), current=True, slug__isnull=False
    ).exclude(app__coupling__stage__word__in=[Stage.Word.REVIEW, Stage.Word.PRODUCTION])
    return list(rows.select_related("app", "slug__app").defer("sealed_config"))
