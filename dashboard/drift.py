"""How far an app is ahead of the next stage, or behind the one before, in commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.models import Stage
from releases import repositories
from releases.models import Slug


class HasStage(Protocol):
    """A column of the board."""

    stage: Stage


@dataclass(frozen=True)
class Drift:
    """`kind` is ahead, behind, level or apart; `commits` is how many, where that is known."""

    kind: str
    text: str
    commits: int = 0


def drift_between(
    mine: Slug | None,
    following: Sequence[Slug | None],
    before: Sequence[Slug | None],
    next_column: HasStage | None,
    last_column: HasStage | None,
) -> Drift | None:
    """The one sentence on a card: “3 commits ahead of production”, “Level with canary”, “5 commits behind staging”."""
    if mine is None:
        return None
    if next_column is not None:
        return _ahead(mine, _kin(mine, following), next_column.stage.title.lower())
    if last_column is not None:
        return _behind(mine, _kin(mine, before), last_column.stage.title.lower())
    return None


def _kin(mine: Slug, others: Sequence[Slug | None]) -> Sequence[Slug | None]:
    """Where apps of several codebases share the stages: those whose code was built where `mine` was."""
    near = [other for other in others if other and other.app_id == mine.app_id]
    foreign = any(other and other.app_id != mine.app_id for other in others)
    return near if near and foreign else others


def _ahead(mine: Slug, others: Sequence[Slug | None], where: str) -> Drift | None:
    if not any(others):
        return Drift("apart", f"Nothing in {where} yet")
    apart = [other for other in distinct(others) if other.digest != mine.digest]
    if not apart and all(others):
        return Drift("level", f"Level with {where}")
    counts = [commits_ahead(mine, other) for other in apart]
    known = [count for count in counts if count is not None]
    if not known:
        return Drift("apart", f"Differs from {where}" if apart else f"Not everywhere in {where}")
    most = max(known)
    if most == 0:
        return Drift("apart", f"Older than {where}" if _older(mine, apart) else f"Rebuilt since {where}")
    return Drift("ahead", f"{_commits(most)} ahead of {where}", most)


def _behind(mine: Slug, others: Sequence[Slug | None], where: str) -> Drift | None:
    found = distinct(others)
    if not found:
        return None
    if all(other.digest == mine.digest for other in found):
        return Drift("level", f"Level with {where}")
    known = [count for other in found if (count := commits_ahead(other, mine)) is not None]
    if not known or max(known) == 0:
        return Drift("apart", f"Differs from {where}")
    return Drift("behind", f"{_commits(max(known))} behind {where}", max(known))


def commits_ahead(slug: Slug, other: Slug) -> int | None:
    """How many commits `slug` has that `other` lacks; None where the repository does not know both. The commits are
    in the repository of the app where `slug` was built, whatever app runs it now."""
    if slug.app_id is None or not slug.commit or not other.commit:
        return None
    if not repositories.path(slug.app_id).exists():
        return None
    return repositories.ahead(slug.app_id, other.commit, slug.commit)


def distinct(slugs: Sequence[Slug | None]) -> list[Slug]:
    """One of each: many apps of a stage run the same."""
    return list({(slug.digest, slug.commit): slug for slug in slugs if slug}.values())


def _older(mine: Slug, others: Sequence[Slug]) -> bool:
    return any(commits_ahead(other, mine) for other in others)


def _commits(number: int) -> str:
    return f"{number} commit" if number == 1 else f"{number} commits"
