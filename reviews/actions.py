"""What happens to review apps: they are asked for, given up, tried again; and how a pipeline has them come and go."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from apps import sleep
from core import activity, live
from core.errors import Conflict, NotFound, Refusal
from forge.models import PullRequest
from pipelines.models import Pipeline, Stage
from releases.models import Source
from releases.remotes import check_ref
from reviews import names
from reviews.models import ReviewApp, ReviewSettings

MOST, MOST_PARTS, MOST_DAYS = 100, 10, 30
PART = re.compile(r"[a-z][a-z0-9-]{0,19}")
FOLDER = re.compile(r"(?!.*(^|/)\.{1,2}(/|$))[^\x00-\x1f\\:/][^\x00-\x1f\\:]{0,253}(?<!/)")
FIELDS = (
    "enabled",
    "automatic",
    "drafts",
    "wait_for_ci",
    "destroy_stale",
    "stale_days",
    "predictable",
    "base_name",
    "most",
    "sleep_minutes",
    "forks",
    "parts",
)
State, Status = ReviewApp.State, ReviewApp.Status
NOT_GOING = (State.PENDING, State.CREATING, State.CREATED, State.ERRORED)  # nothing of it has been taken away


# --- settings -----------------------------------------------------------------------------------------------------------


def settings_of(pipeline: Pipeline) -> ReviewSettings:
    """How the pipeline has review apps; unsaved and switched off while nobody has said anything."""
    return ReviewSettings.objects.filter(pipeline=pipeline).first() or ReviewSettings(pipeline=pipeline)


@transaction.atomic
def set_settings(pipeline: Pipeline, *, by: User, **changes: Any) -> ReviewSettings:
    """Change some of `FIELDS`. Switching them on is in the name of `by`: automatic ones are made with their rights.
    Review apps that are there stay when they are switched off."""
    row = _settings_locked(pipeline)
    before = {name: getattr(row, name) for name in FIELDS}
    for name, value in changes.items():
        setattr(row, name, _checked(name, value))
    after = {name: getattr(row, name) for name in FIELDS}
    changed = [name for name in FIELDS if before[name] != after[name]]
    if not changed:
        return row
    if row.enabled:
        review_stage(pipeline)
    row.by = by
    row.save()
    switched = "enabled" if row.enabled else "disabled"
    verb = f"{switched} review apps of" if changed == ["enabled"] else "changed review apps of"
    activity.record(
        by,
        verb,
        pipeline,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    if row.most > before["most"]:
        ask(waiting_in(pipeline))
    live.tell(pipeline.topic)
    return row


def review_stage(pipeline: Pipeline) -> Stage:
    """The stage that review apps are in; `Refusal` when it was removed."""
    stage = Stage.objects.filter(pipeline=pipeline, word=Stage.Word.REVIEW).first()
    if stage is None:
        raise Refusal(
            f"{pipeline.name} has no review stage. Add a stage that scripts know as “review” first."
        )
    return stage


def parts_of(settings: ReviewSettings) -> list[tuple[str, str]]:
    """The apps that one pull request gets: their names and folders. One of the whole, unless parts are named."""
    return [(part["name"], part["path"]) for part in settings.parts] or [("", "")]


def _settings_locked(pipeline: Pipeline) -> ReviewSettings:
    ReviewSettings.objects.get_or_create(pipeline=pipeline)
    return ReviewSettings.objects.select_for_update().get(pipeline=pipeline)


def _checked(name: str, value: Any) -> Any:
    if name not in FIELDS:
        raise ValueError(f"{name} is no setting of review apps")
    check = _CHECKS.get(name)
    return check(value) if check else bool(value)


def _number(name: str, least: int, most: int) -> Any:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            text = f"Give a number from {least} to {most:,}."
            raise Refusal(text, fields={name: text})
        return value

    return check


def _base_name(value: str) -> str:
    if value and (not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", value) or value.endswith("-")):
        text = "Use up to 20 lower case letters, digits and dashes, beginning with a letter."
        raise Refusal(text, fields={"base_name": text})
    return value


def _forks(value: str) -> str:
    if value not in ReviewSettings.Forks.values:
        raise Refusal("Choose what pull requests of forks get.", fields={"forks": "Choose one."})
    return value


def _parts(value: Sequence[Any]) -> list[dict[str, str]]:
    found = [{"name": str(part["name"]), "path": str(part["path"]).strip().strip("/")} for part in value]
    if len(found) > MOST_PARTS:
        text = f"A pull request gets {MOST_PARTS} apps at most."
        raise Refusal(text, fields={"parts": text})
    for part in found:
        if not PART.fullmatch(part["name"]) or (part["path"] and not FOLDER.fullmatch(part["path"])):
            text = f"“{part['name'][:30]} {part['path'][:60]}” can't be: give a short name and a folder of the repository."
            raise Refusal(text, fields={"parts": text})
    if len({part["name"] for part in found}) != len(found):
        raise Refusal("Each app needs a name of its own.", fields={"parts": "A name is there twice."})
    return found


_CHECKS = {
    "stale_days": _number("stale_days", 1, MOST_DAYS),
    "most": _number("most", 1, MOST),
    "sleep_minutes": _number("sleep_minutes", 0, sleep.MOST_MINUTES),
    "base_name": _base_name,
    "forks": _forks,
    "parts": _parts,
}


# --- asking for them ----------------------------------------------------------------------------------------------------


def create(
    pipeline: Pipeline,
    branch: str,
    *,
    by: User | None,
    pull_request: PullRequest | None = None,
    source: Source | None = None,
    automatic: bool = False,
) -> list[ReviewApp]:
    """Ask for review apps of a branch, or of a pull request: one, or one for each part. `Conflict` when they are there
    already. A fork's gets no secrets; asking for it is the yes that it needs, for the commit that it names now."""
    with transaction.atomic():
        settings = _settings_locked(pipeline)
        if not settings.enabled:
            raise Refusal(f"{pipeline.name} has no review apps. Someone who manages it can enable them.")
        review_stage(pipeline)
        fork = pull_request.from_fork if pull_request else ""
        if fork and settings.forks == ReviewSettings.Forks.NEVER:
            raise Refusal(f"{pipeline.name} makes no review apps of forks.")
        branch = pull_request.branch if pull_request else check_ref(branch)
        made = [
            _row(settings, branch, part, by=by, pull_request=pull_request, source=source, automatic=automatic)
            for part in parts_of(settings)
        ]
        found = [row for row in made if row is not None]
        if not found:
            what = f"#{pull_request.number}" if pull_request else branch
            raise Conflict(f"There is a review app of {what[:60]} already.")
        return found


def _row(
    settings: ReviewSettings,
    branch: str,
    part: tuple[str, str],
    *,
    by: User | None,
    pull_request: PullRequest | None,
    source: Source | None,
    automatic: bool,
) -> ReviewApp | None:
    """A new row, or one that was given up so lately that nothing of it has gone yet; None when it is there."""
    pipeline, (name, path) = settings.pipeline, part
    subject = subject_of(branch, name, pull_request)
    commit = pull_request.commit if pull_request else ""
    rows = ReviewApp.objects.filter(pipeline=pipeline, subject=subject)
    if rows.filter(gone=False).exists():
        return None
    back = rows.filter(state__in=NOT_GOING).first()
    if back is not None:
        values = {
            "gone": False,
            "commit": commit or back.commit,
            "by": by or back.by,
            "news_at": timezone.now(),
        }
        if ReviewApp.objects.filter(pk=back.pk, state__in=NOT_GOING).update(**values):
            back.refresh_from_db()
            ask([back])
            return back
    try:
        with transaction.atomic():
            row = ReviewApp.objects.create(
                pipeline=pipeline,
                pull_request=pull_request,
                subject=subject,
                branch=branch[:255],
                part=name,
                path=path,
                from_fork=pull_request.from_fork if pull_request else "",
                source=source,
                automatic=automatic,
                wait_for_ci=automatic and settings.wait_for_ci,
                commit=commit,
                by=by,
            )
    except IntegrityError:
        return None
    activity.record(by, "asked for", row, pipeline=pipeline, automatic=automatic)
    _tell(row)
    return row


def subject_of(branch: str, part: str, pull_request: PullRequest | None = None) -> str:
    """What one review app at most is wanted for."""
    what = f"pull/{pull_request.pk}" if pull_request else f"branch/{branch}"
    return f"{what[:270]}#{part}"


# --- what happens to one ------------------------------------------------------------------------------------------------


@transaction.atomic
def destroy(row: ReviewApp, *, by: User | None, why: str = "") -> None:
    """Give a review app up: its pre-destroy script runs, then it goes with all that it has."""
    if not ReviewApp.objects.filter(pk=row.pk, gone=False).update(gone=True, message=why[:500]):
        raise Conflict(f"The {row} is going already.")
    activity.record(by, "gave up", row, pipeline=row.pipeline, why=why)
    ask([row])


@transaction.atomic
def try_again(row: ReviewApp, *, by: User) -> None:
    """Make one that failed again: the same app, set up from the newest commit."""
    values: dict[str, Any] = {"state": State.PENDING, "setup": None, "message": "", "by": by}
    if row.pull_request:
        values["commit"] = row.pull_request.commit
    rows = ReviewApp.objects.filter(pk=row.pk, gone=False, state=State.ERRORED)
    if not rows.update(**values, built_commit=""):
        raise Conflict(f"The {row} has not failed, or is going.")
    activity.record(by, "tried again", row, pipeline=row.pipeline)
    ask([row])


@transaction.atomic
def build_newest(row: ReviewApp, *, by: User) -> None:
    """Say yes to the newest commit of a fork's pull request, which no machine does."""
    pull_request = row.pull_request
    if pull_request is None or not row.from_fork or row.commit == pull_request.commit or row.gone:
        raise Conflict(f"There is nothing new to build for the {row}.")
    ReviewApp.objects.filter(pk=row.pk).update(commit=pull_request.commit, by=by, news_at=timezone.now())
    activity.record(
        by, "allowed the newest commit of", row, pipeline=row.pipeline, commit=pull_request.commit
    )
    ask([row])


def move_to(rows: Iterable[ReviewApp], commit: str) -> list[ReviewApp]:
    """Have these stand at another commit; returns those that did not yet. Call it in a transaction."""
    moved = [row for row in rows if row.commit != commit]
    for row in moved:
        again = {"state": State.PENDING, "setup": None, "message": "", "built_commit": ""}
        more = again if row.state == State.ERRORED else {}
        ReviewApp.objects.filter(pk=row.pk).update(commit=commit, news_at=timezone.now(), **more)
    ask(moved)
    return moved


def waiting_in(pipeline: Pipeline) -> list[ReviewApp]:
    """Those that are wanted and have no app yet."""
    return list(ReviewApp.objects.filter(pipeline=pipeline, state=State.PENDING, gone=False))


def ask(rows: Iterable[ReviewApp]) -> None:
    """Have the conductor look at these. Call it in a transaction."""
    for row in rows:
        mine = ReviewApp.objects.filter(pk=row.pk)
        mine.update(asked=F("asked") + 1, wake_at=None)
        mine.filter(status=Status.RESTING).update(
            status=Status.PENDING, attempt=0, lease_until=None, finished_at=None
        )
        _tell(row)


def review_app_of(pipeline: Pipeline, pk: Any) -> ReviewApp:
    """The review app of this id, in this pipeline."""
    row = (
        ReviewApp.objects.filter(pk=pk, pipeline=pipeline)
        .select_related("pull_request", "app", "pipeline")
        .first()
    )
    if row is None:
        raise NotFound("Couldn't find that review app.", resource="review_app")
    return row


def _tell(row: ReviewApp) -> None:
    live.tell(row.pipeline.topic)
    live.wake_conductor()


__all__ = [
    "ask",
    "build_newest",
    "create",
    "destroy",
    "move_to",
    "names",
    "parts_of",
    "review_app_of",
    "review_stage",
    "set_settings",
    "settings_of",
    "subject_of",
    "try_again",
    "waiting_in",
]
