"""Which changes are news, of what, and whom they are about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from accounts.models import User
from core.changes import MOVED_ON, Change
from flow.models import Watch
from pipelines.models import Coupling, Promotion, PromotionTarget
from releases.models import Build, Release


@dataclass(frozen=True)
class Occasion:
    """Something to tell of: `event` happened to the row `thing`. `about` are those whom it concerns in person; `by`
    did it, and need not be told. `time` tells apart what happens to the same row again."""

    event: str
    thing: Any
    pipeline_id: Any = None
    app_id: Any = None
    about: tuple[User, ...] = ()
    by: User | None = None
    time: str = ""


Source = Callable[[Change], Iterator[Occasion]]


def of(change: Change) -> Iterator[Occasion]:
    """What a change is news of; mostly nothing."""
    source = SOURCES.get(type(change.thing))
    if source is not None:
        yield from source(change)


def _of_build(change: Change) -> Iterator[Occasion]:
    build: Build = change.thing
    if change.verb == MOVED_ON and build.status == Build.Status.FAILED and not build.app.ephemeral:
        yield Occasion("build-failed", build, _pipeline_of(build.app_id), build.app_id, _people(build.by))


def _of_release(change: Change) -> Iterator[Occasion]:
    release: Release = change.thing
    gave_up = change.verb == "gave up"
    if (change.verb != MOVED_ON and not gave_up) or release.app.ephemeral:
        return
    pipeline, app = _pipeline_of(release.app_id), release.app_id
    if gave_up or release.status == Release.Status.FAILED:
        if not PromotionTarget.objects.filter(release=release).exists():  # its promotion says so
            yield Occasion("release-failed", release, pipeline, app, _people(release.by))
    elif _is_rollback_by_hand(release):
        yield Occasion("rolled-back", release, pipeline, app, by=release.by)


def _of_promotion(change: Change) -> Iterator[Occasion]:
    promotion: Promotion = change.thing
    if change.verb != MOVED_ON or promotion.status != Promotion.Status.COMPLETED:
        return
    failed = promotion.targets.filter(status=PromotionTarget.Status.FAILED).exists()
    people, by = _people(promotion.by), None if promotion.automatic else promotion.by
    where = (promotion, promotion.pipeline_id, promotion.source_id)
    if failed:
        yield Occasion("promotion-failed", *where, about=people)
    else:
        yield Occasion("promoted", *where, by=by)


def _is_rollback_by_hand(release: Release) -> bool:
    done = release.status == Release.Status.SUCCEEDED and release.kind == Release.Kind.ROLLBACK
    return done and not Watch.objects.filter(rollback=release).exists()


def _pipeline_of(app_id: Any) -> Any:
    return Coupling.objects.filter(app=app_id).values_list("pipeline", flat=True).first()


def _people(*users: User | None) -> tuple[User, ...]:
    return tuple(user for user in users if user is not None)


SOURCES: dict[type, Source] = {Build: _of_build, Release: _of_release, Promotion: _of_promotion}
