"""What a promotion would change on each target: told before anybody agrees to it.

Config vars are compared by value and named only; no value leaves this module.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.core import signing
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils.crypto import salted_hmac

from addons.models import Attachment
from apps.models import App, ConfigVar, Formation
from pipelines import actions
from pipelines.models import Coupling, Promotion, PromotionTarget
from releases import differences, repositories
from releases.comparison import Change, changes
from releases.differences import Files
from releases.models import Release, Slug
from releases.requirements import requirements_of

COMMITS_SHOWN = 20
TOKEN_HOURS = 24
_SALT = "pipelines.changes.plan"


@dataclass(frozen=True)
class Row:
    """A name of which the source and the targets do not all have the same: what each has, in words, targets in
    order. A word of config is `set`, `not set`, `missing`, `differs` or `hidden`; of add-ons it is the plan, or
    `missing`."""

    name: str
    source: str
    targets: tuple[str, ...]


@dataclass
class TargetChange:
    """What would change on one target."""

    app: App
    current: Release | None
    same: bool = False  # it runs this very slug already
    commits: list[repositories.Commit] = field(default_factory=list)  # newest first, the first of them
    ahead: int | None = None  # how many commits there are; None where the repository does not know
    behind: int | None = None  # commits that the target has and would lose
    files: Files | None = None  # that differ; None where the repository does not know
    lacks_config: list[str] = field(
        default_factory=list
    )  # that app.json requires; empty where it may not be told
    lacks_addons: list[str] = field(default_factory=list)  # services that app.json asks for
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
    hidden: list[App] = field(default_factory=list)  # whose config the viewer may not see

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
    def lacking(self) -> list[TargetChange]:
        """The targets that lack something that app.json asks for."""
        return [change for change in self.targets if change.lacks_config or change.lacks_addons]

    @property
    def alike(self) -> bool:
        """Whether the same files change on all targets."""
        told = [change for change in self.targets if change.files is not None]
        return len(self.unlike) == 1 and len(told) == len(self.targets)

    @property
    def unlike(self) -> list[TargetChange]:
        """The targets whose files change, those alike told once: by the commits that they run now."""
        seen: dict[str, TargetChange] = {}
        for change in self.targets:
            if change.files is not None and change.files.count and change.current and change.current.slug:
                seen.setdefault(change.current.slug.commit, change)
        return list(seen.values())

    @property
    def farthest(self) -> TargetChange | None:
        """The target with the most commits to gain."""
        return max(self.targets, key=lambda change: change.ahead or 0, default=None)


@dataclass(frozen=True)
class Ground:
    """How apps stand, by their ids: all that a plan and its token are made from."""

    current: Mapping[Any, Release | None]
    formation: Mapping[Any, Sequence[Formation]]
    config: Mapping[Any, Mapping[str, str]]
    addons: Mapping[Any, Mapping[str, str]]


def survey(apps: Sequence[App]) -> Ground:
    """Look at `apps`, in four queries."""
    formation: dict[Any, list[Formation]] = {app.pk: [] for app in apps}
    for row in Formation.objects.filter(app__in=apps):
        formation[row.app_id].append(row)
    return with_values(apps, {release.app_id: release for release in _current(apps)}, formation)


def with_values(
    apps: Sequence[App], current: Mapping[Any, Release | None], formation: Mapping[Any, Sequence[Formation]]
) -> Ground:
    """The same in two queries, for who has looked at releases and formations already."""
    return Ground(current, formation, _config(apps), _plans(apps))


def plan(
    source: Coupling,
    release: Release,
    targets: Sequence[Coupling],
    *,
    ground: Ground | None = None,
    hidden: Collection[Any] = (),
) -> Plan:
    """Compare `release` of `source` with what each target runs now. Nothing is said about the config of the apps whose
    ids are in `hidden`."""
    apps = [source.app, *(target.app for target in targets)]
    ground = ground or survey(apps)
    between = lru_cache(_commits)
    found = [_change(release, target.app, ground.current.get(target.app_id), between) for target in targets]
    made = Plan(source.app, release, found)
    made.hidden = [app for app in apps if app.pk in hidden]
    if source.app_id not in hidden:
        made.config, made.config_alike = _compare_shown(apps, ground.config, hidden)
    made.addons = compare_addons(apps, ground.addons)
    _ask(release, found, ground, hidden)
    return made


def _ask(release: Release, found: Sequence[TargetChange], ground: Ground, hidden: Collection[Any]) -> None:
    """Say of each target what it lacks of what the code asks for."""
    needed = requirements_of(release)
    for change in found:
        pk = change.app.pk
        if pk not in hidden:
            change.lacks_config = needed.missing_config(ground.config[pk])
        plans = ground.addons[pk].items()
        change.lacks_addons = needed.missing_services({name: len(text.split(", ")) for name, text in plans})


def _compare_shown(
    apps: Sequence[App], config: Mapping[Any, Mapping[str, str]], hidden: Collection[Any]
) -> tuple[list[Row], int]:
    """As `compare_config`, of the apps that are not hidden; the others have the word `hidden` in each row."""
    shown = [app for app in apps if app.pk not in hidden]
    rows, alike = compare_config(shown, config)
    words = [dict(zip([app.pk for app in shown[1:]], row.targets, strict=True)) for row in rows]
    full = [tuple(found.get(app.pk, "hidden") for app in apps[1:]) for found in words]
    return [Row(row.name, row.source, told) for row, told in zip(rows, full, strict=True)], alike


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


def token(
    source: Coupling, release: Release, targets: Sequence[Coupling], *, ground: Ground | None = None
) -> str:
    """What somebody was shown: the release, and how source and targets stood then. It travels with the form."""
    stands = _stands([source, *targets], ground)
    seen = {"source": str(source.app_id), "release": str(release.pk), "apps": stands}
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
        said.append(f"It was about another release of {source.app.name} than {release}.")
    stands = _stands([source, *targets])
    for coupling in (source, *targets):
        before = seen["apps"].get(str(coupling.app_id))
        said += _apart(coupling, before, stands[str(coupling.app_id)])
    return said


@transaction.atomic
def promote_as_shown(
    text: str, source: Coupling, release: Release, targets: Sequence[Coupling], **how: Any
) -> tuple[Promotion | None, list[str]]:
    """Promote, or say what is not as it was when `text` was made. No release of these apps can come in between: their
    rows are locked meanwhile. `how` is as `actions.promote` takes it."""
    apps = [source.app_id, *(target.app_id for target in targets)]
    list(App.objects.select_for_update().filter(pk__in=apps).order_by("pk").values_list("pk"))
    rows = Coupling.objects.filter(pipeline=source.pipeline_id, app__in=apps)
    fresh = {row.app_id: row for row in rows.select_related("app", "stage__pipeline", "pipeline")}
    if len(fresh) < len(apps):
        return None, ["An app has left the pipeline."]
    source, *targets = (fresh[pk] for pk in apps)
    said = changed_since(text, source, release, targets)
    if said:
        return None, said
    return actions.promote(source, targets, release=release, **how), []


def _stands(couplings: Sequence[Coupling], ground: Ground | None = None) -> dict[str, list[Any]]:
    """How apps stand, as far as a plan tells or follows from it. Config is in it as a keyed digest."""
    ground = ground or survey([coupling.app for coupling in couplings])
    stands: dict[str, list[Any]] = {}
    for coupling in couplings:
        pk, current = coupling.app_id, ground.current.get(coupling.app_id)
        formation = sorted((row.type, row.quantity, row.size) for row in ground.formation[pk])
        stands[str(pk)] = [
            current.version if current else 0,
            coupling.app.last_version,
            coupling.stage.name,
            *map(_digest, (ground.config[pk], ground.addons[pk], formation)),
        ]
    return stands


def _digest(value: Any) -> str:
    return salted_hmac(_SALT, json.dumps(value, sort_keys=True), algorithm="sha256").hexdigest()[:16]


def _apart(coupling: Coupling, before: Sequence[Any] | None, now: Sequence[Any]) -> list[str]:
    """What changed of one app, in sentences."""
    name = coupling.app.name
    if before is None:
        return [f"What would change on {name} was not shown yet."]
    sentences = [
        f"{name} runs v{now[0]} now." if now[0] else f"{name} runs nothing now.",
        "",  # the newest version, told below where nothing else tells of it
        f"{name} is in {coupling.stage.title.lower()} now.",
        f"The config vars of {name} changed.",
        f"The add-ons of {name} changed.",
        f"The formation of {name} changed.",
    ]
    said = [text for text, was, is_ in zip(sentences, before, now, strict=True) if was != is_ and text]
    if not said and before[1] != now[1]:
        said.append(f"{name} has a newer release, v{now[1]}.")
    return said


def _current(apps: Sequence[App]) -> list[Release]:
    rows = Release.objects.filter(app__in=apps, current=True)
    return list(rows.select_related("slug__app", "app").defer("sealed_config"))


def _change(
    release: Release,
    app: App,
    current: Release | None,
    between: Callable[[App | None, str, str], list[repositories.Commit]],
) -> TargetChange:
    mine, theirs = release.slug, current.slug if current else None
    change = TargetChange(app, current)
    change.process_types = changes(current.process_types if current else {}, release.process_types)
    if mine is None or theirs is None:
        return change
    change.same = mine.digest == theirs.digest
    if mine.app_id is None or not mine.commit or not theirs.commit:
        return change
    change.ahead = repositories.ahead(mine.app_id, theirs.commit, mine.commit)
    change.behind = repositories.ahead(mine.app_id, mine.commit, theirs.commit)
    change.files = differences.files_between(mine.app_id, theirs.commit, mine.commit)
    if change.ahead:
        change.commits = between(mine.app, theirs.commit, mine.commit)
    return change


def of(promotion: Promotion, targets: Sequence[PromotionTarget]) -> Plan:
    """What a promotion changes, or has changed, in the code of these targets of it, which come with app and release.
    Two queries; nothing is said of config and add-ons, which may have been others then."""
    ran = Release.objects.filter(
        app=OuterRef("app"),
        status__in=(Release.Status.SUCCEEDED, Release.Status.EXPIRED),
        version__lt=Coalesce(OuterRef("release__version"), OuterRef("app__last_version") + 1),
    ).order_by("-version")
    rows = PromotionTarget.objects.filter(pk__in=[target.pk for target in targets])
    before = dict(rows.annotate(before=Subquery(ran.values("pk")[:1])).values_list("pk", "before"))
    found = Release.objects.filter(pk__in=before.values()).select_related("slug__app").defer("sealed_config")
    releases = {release.pk: release for release in found}
    between = lru_cache(_commits)
    changed = [
        _change(promotion.release, target.app, releases.get(before[target.pk]), between) for target in targets
    ]
    return Plan(promotion.source, promotion.release, changed)


def _commits(app: App | None, base: str, head: str) -> list[repositories.Commit]:
    return repositories.commits_between(app, base, head, limit=COMMITS_SHOWN) if app else []


def _config(apps: Sequence[App]) -> dict[Any, dict[str, str]]:
    values: dict[Any, dict[str, str]] = {app.pk: {} for app in apps}
    for var in ConfigVar.objects.filter(app__in=apps):
        values[var.app_id][var.key] = var.value
    return values


def _plans(apps: Sequence[App]) -> dict[Any, dict[str, str]]:
    """The plans of each app's add-ons by service; several of one service are told in one word."""
    plans: dict[Any, dict[str, str]] = {app.pk: {} for app in apps}
    for attachment in Attachment.objects.filter(app__in=apps).select_related("addon__plan__service"):
        mine = plans[attachment.app_id]
        name, plan_name = attachment.addon.service.name, attachment.addon.plan.name
        mine[name] = f"{mine[name]}, {plan_name}" if name in mine else plan_name
    return plans
