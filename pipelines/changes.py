"""What a promotion would change on each target: told before anybody agrees to it.

Config vars are compared by value and named only; no value leaves this module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core import signing

from addons.models import Attachment
from apps.models import App, ConfigVar
from pipelines.models import Coupling
from releases import repositories
from releases.comparison import Change, changes
from releases.models import Release, Slug

COMMITS_SHOWN = 20
TOKEN_HOURS = 24
_SALT = "pipelines.changes.plan"


@dataclass(frozen=True)
class Row:
    """A name of which the source and the targets do not all have the same: what each has, in words, targets in
    order. A word of config is `set`, `missing` or `differs`; of add-ons it is the plan, or `missing`."""

    name: str
    source: str
    targets: tuple[str, ...]


@dataclass
class TargetChange:
    """What would change on one target."""

    app: App
    current: Release | None
    same: bool = False  # it runs this very slug already
    commits: list[Any] = field(default_factory=list)  # repositories.Commit, newest first, the first of them
    ahead: int | None = None  # how many commits there are; None where the repository does not know
    behind: int | None = None  # commits that the target has and would lose
    process_types: list[Change] = field(default_factory=list)


@dataclass
class Plan:
    """A promotion that nobody has agreed to yet."""

    source: App
    release: Release
    targets: list[TargetChange]
    config: list[Row] = field(default_factory=list)
    config_alike: int = 0
    addons: list[Row] = field(default_factory=list)

    @property
    def slug(self) -> Slug:
        """What would run on every target."""
        assert self.release.slug is not None
        return self.release.slug

    @property
    def release_command(self) -> str:
        """What would run once on each target before its traffic moves."""
        return str(self.release.process_types.get("release", ""))

    @property
    def farthest(self) -> TargetChange | None:
        """The target with the most commits to gain."""
        return max(self.targets, key=lambda change: change.ahead or 0, default=None)


def plan(source: Coupling, release: Release, targets: Sequence[Coupling]) -> Plan:
    """Compare `release` of `source` with what each target runs now."""
    current = {r.app_id: r for r in _current([target.app for target in targets])}
    found = [_change(release, target.app, current.get(target.app_id)) for target in targets]
    made = Plan(source.app, release, found)
    apps = [source.app, *(target.app for target in targets)]
    made.config, made.config_alike = compare_config(apps, _config(apps))
    made.addons = compare_addons(apps, _plans(apps))
    return made


def compare_config(apps: Sequence[App], values: Mapping[Any, Mapping[str, str]]) -> tuple[list[Row], int]:
    """The config vars that the first app (the source) and the others do not have in common, and how many they
    have. A name that only the targets know is listed too: the code may not read it any more."""
    source, others = values[apps[0].pk], [values[app.pk] for app in apps[1:]]
    names = sorted({*source, *(name for other in others for name in other)})
    rows = [_config_row(name, source, others) for name in names]
    apart = [row for row in rows if row is not None]
    return apart, len(names) - len(apart)


def _config_row(name: str, source: Mapping[str, str], others: Sequence[Mapping[str, str]]) -> Row | None:
    words = []
    for other in others:
        if name not in other:
            words.append("missing" if name in source else "not set")
        elif name not in source or other[name] == source[name]:
            words.append("set")
        else:
            words.append("differs")
    mine = "set" if name in source else "not set"
    return None if mine == "set" and set(words) <= {"set"} else Row(name, mine, tuple(words))


def compare_addons(apps: Sequence[App], plans: Mapping[Any, Mapping[str, str]]) -> list[Row]:
    """The services of which the apps do not all have the same plan."""
    services = sorted({service for app in apps for service in plans[app.pk]})
    rows = []
    for service in services:
        words = [plans[app.pk].get(service, "missing") for app in apps]
        if len(set(words)) > 1:
            rows.append(Row(service, words[0], tuple(words[1:])))
    return rows


def token(source: Coupling, release: Release, candidates: Sequence[Coupling]) -> str:
    """What somebody was shown: the release, and what each candidate ran then. It travels with the form."""
    current = {str(r.app_id): str(r.pk) for r in _current([candidate.app for candidate in candidates])}
    seen = {"source": str(source.app_id), "release": str(release.pk), "current": current}
    return signing.dumps(seen, salt=_SALT, compress=True)


def changed_since(text: str, source: Coupling, release: Release, targets: Sequence[Coupling]) -> list[str]:
    """What is not as it was when `text` (a `token`) was made, in sentences; empty when all is as agreed to."""
    try:
        seen = signing.loads(text, salt=_SALT, max_age=TOKEN_HOURS * 3600)
    except signing.BadSignature:
        return ["This form is out of date."]
    if seen["source"] != str(source.app_id):
        return ["This form is about another app."]
    said = []
    if seen["release"] != str(release.pk):
        said.append(f"{source.app.name} runs {release} now.")
    current = {r.app_id: r for r in _current([target.app for target in targets])}
    for target in targets:
        now = current.get(target.app_id)
        if seen["current"].get(str(target.app_id)) != (str(now.pk) if now else None):
            said.append(
                f"{target.app.name} runs {now} now." if now else f"{target.app.name} runs nothing now."
            )
    return said


def _current(apps: Sequence[App]) -> list[Release]:
    rows = Release.objects.filter(app__in=apps, current=True)
    return list(rows.select_related("slug__app", "app").defer("sealed_config"))


def _change(release: Release, app: App, current: Release | None) -> TargetChange:
    mine, theirs = release.slug, current.slug if current else None
    change = TargetChange(app, current)
    change.process_types = changes(current.process_types if current else {}, release.process_types)
    if mine is None or theirs is None:
        return change
    change.same = mine.digest == theirs.digest
    if mine.app is None or not mine.commit or not theirs.commit:
        return change
    change.ahead = repositories.ahead(mine.app, theirs.commit, mine.commit)
    change.behind = repositories.ahead(mine.app, mine.commit, theirs.commit)
    if change.ahead:
        change.commits = repositories.commits_between(
            mine.app, theirs.commit, mine.commit, limit=COMMITS_SHOWN
        )
    return change


def _config(apps: Sequence[App]) -> dict[Any, dict[str, str]]:
    values: dict[Any, dict[str, str]] = {app.pk: {} for app in apps}
    for var in ConfigVar.objects.filter(app__in=apps):
        values[var.app_id][var.key] = var.value
    return values


def _plans(apps: Sequence[App]) -> dict[Any, dict[str, str]]:
    """The plans of each app's add-ons by service; several of one service are told in one word."""
    plans: dict[Any, dict[str, str]] = {app.pk: {} for app in apps}
    for attachment in Attachment.objects.filter(app__in=apps).select_related("addon"):
        mine = plans[attachment.app_id]
        name, plan_name = attachment.addon.service, attachment.addon.plan
        mine[name] = f"{mine[name]}, {plan_name}" if name in mine else plan_name
    return plans
