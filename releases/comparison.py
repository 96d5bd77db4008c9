"""What differs between two releases. Config vars are compared by value and told by name only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from releases import repositories
from releases.commits import Commit
from releases.models import Release


@dataclass(frozen=True)
class Change:
    """One name whose meaning differs."""

    name: str
    what: str  # added, removed, changed
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Difference:
    """How `head` differs from `base`."""

    base: Release
    head: Release
    same_slug: bool
    config: list[Change]  # names only
    process_types: list[Change]
    addons: list[Change]

    @property
    def nothing(self) -> bool:
        """Whether the two are the same triple."""
        return self.same_slug and not (self.config or self.process_types or self.addons)


def compare(base: Release, head: Release) -> Difference:
    """Tell what `head` has that `base` has not, and the other way round."""
    one, other = (release.slug.digest if release.slug else "" for release in (base, head))
    plans = [{str(plan): "" for plan in release.addon_plans} for release in (base, head)]
    return Difference(
        base=base,
        head=head,
        same_slug=one == other,
        config=[Change(name, what) for name, what in names(base.config, head.config)],
        process_types=changes(base.process_types, head.process_types),
        addons=changes(plans[0], plans[1]),
    )


def names(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The names that mean something else, in order, and whether each was added, removed or changed."""
    found = []
    for name in sorted({*before, *after}):
        if name not in before:
            found.append((name, "added"))
        elif name not in after:
            found.append((name, "removed"))
        elif before[name] != after[name]:
            found.append((name, "changed"))
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The same with what each meant before and means after; not for secrets."""
    return [
        Change(name, what, str(before.get(name) or ""), str(after.get(name) or ""))
        for name, what in names(before, after)
    ]


def commits(base: Release, head: Release) -> list[Commit]:
    """The commits that `head` has and `base` has not, newest first; empty when they can't be told: the repository is
    that of the app where the slug was built, and it may not know both."""
    one, other = base.slug, head.slug
    if one is None or other is None or not one.commit or not other.commit or other.app is None:
        return []
    return repositories.commits_between(other.app, one.commit, other.commit)
