"""What search finds: pipelines, apps and what is theirs, releases, commits, pages, and what can be done about them.

Words match in any order, and only what the viewer may see and do is found. The number of queries does not grow with
what there is; apps are matched in memory, by their name, pipeline and stage, since a word may mean any of these.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from accounts.access import DEPLOY, MANAGE, OPERATE, RIGHTS, ROLE_RIGHTS
from accounts.models import Membership, User
from apps import access as app_access
from apps.models import App, Domain
from dashboard.links import link
from pipelines import access as pipeline_access
from pipelines.models import Pipeline, Stage
from releases.models import Build, Release

RECENT = 8  # things visited last that are offered before anything was typed
SHA = re.compile(r"[0-9a-f]{4,64}")
VERSION = re.compile(r"v?(\d{1,9})")


@dataclass(frozen=True)
class Entry:
    """One line: where it leads, and whether that opens as a dialog over the page."""

    label: str
    url: str
    icon: str
    note: str = ""
    dialog: bool = False
    key: str = ""  # the shortcut that does the same
    away: bool = False  # to another site


@dataclass
class Group:
    """Lines under one heading."""

    title: str
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """An app, with what its lines need to know."""

    app: App
    rights: frozenset[str]
    pipeline: str = ""
    stage: Stage | None = None

    @property
    def text(self) -> str:
        """What words are looked for in."""
        return f"{self.app.name} {self.pipeline} {self.stage.name if self.stage else ''}"

    @property
    def runs(self) -> bool:
        return bool(self.app.runs)  # type: ignore[attr-defined]  # annotated by _apps


@dataclass(frozen=True)
class Offer:
    """A page of an app, or something to do with it: `words` are what people may call it by, `right` what it takes."""

    words: str
    label: str
    page: str
    icon: str
    right: str = ""
    dialog: bool = False
    key: str = ""
    fits: Callable[[Found], bool] = lambda found: True


def _promotes(found: Found) -> bool:
    from_here = found.stage is not None and found.stage.word not in ("review", "production")
    return from_here and found.runs


DEEDS = (
    Offer(
        "promote release next stage", "Promote {}", "promotion-new", "promote", DEPLOY, True, "p", _promotes
    ),
    Offer(
        "restart dynos", "Restart {}", "restart-new", "restart", OPERATE, True, fits=lambda found: found.runs
    ),
    Offer(
        "roll back rollback undo",
        "Roll back {}",
        "app-releases",
        "rollback",
        DEPLOY,
        fits=lambda found: found.runs,
    ),
    Offer("open visit site url", "Open the site of {}", "", "external", key="o"),
    Offer("run command console one-off", "Run a command on {}", "app-resources", "terminal", DEPLOY),
    Offer("scale dynos size", "Scale {}", "app-resources", "sliders", OPERATE),
)
PLACES = (
    Offer("open tail logs lines output", "Logs of {}", "app-logs", "logs", OPERATE),
    Offer("config vars variables environment env", "Config vars of {}", "app-config", "sliders"),
    Offer("settings rename domains buildpacks maintenance", "Settings of {}", "app-settings", "gear"),
    Offer("releases history compare", "Releases of {}", "app-releases", "commit"),
    Offer("deploy push builds branch git", "Deploy to {}", "app-deploy", "upload"),
    Offer("resources formation dynos addons add-ons", "Resources of {}", "app-resources", "cpu"),
    Offer("activity audit who", "Activity of {}", "app-activity", "pulse"),
    Offer("access people collaborators share", "Access to {}", "app-access", "users"),
)
USUAL = ("promotion-new", "app-logs", "restart-new", "app-config", "app-settings")


def find(user: User, text: str, *, recent: Sequence[str] = (), each: int = 6) -> list[Group]:
    """The groups that answer `text`, each of `each` lines at most; without text what `user` is likely to want.

    `recent` names what was visited last, newest first: `app:<name>`, `pipeline:<name>`.
    """
    words = text.lower().split()
    roles = list(Membership.objects.filter(user=user).select_related("team"))
    pipelines, apps = _pipelines(user, roles), _apps(user)
    if not words:
        groups = _likely(user, pipelines, apps, recent, each)
    else:
        groups = _answers(user, words, roles, pipelines, apps, recent, each)
    return [group for group in groups if group.entries]


def _pipelines(user: User, roles: Iterable[Membership]) -> dict[str, tuple[Pipeline, frozenset[str]]]:
    """By name, each with what `user` may do with it."""
    of_team: dict[Any, frozenset[str]] = {
        membership.team_id: ROLE_RIGHTS[Membership.Role(membership.role)] for membership in roles
    }
    found = {}
    for pipeline in pipeline_access.pipelines_for(user).select_related("team").prefetch_related("stages"):
        own = frozenset(RIGHTS) if pipeline.user_id == user.pk else frozenset()
        found[pipeline.name] = (pipeline, own or of_team.get(pipeline.team_id, frozenset()))
    return found


def _apps(user: User) -> list[Found]:
    running = Release.objects.filter(app=OuterRef("pk"), current=True, slug__isnull=False)
    rows = app_access.apps_for(user).select_related("coupling__stage", "coupling__pipeline")
    found = app_access.with_rights(rows.annotate(runs=Exists(running)), user)
    return [_found(user, app) for app in found.order_by("name")]


def _found(user: User, app: App) -> Found:
    coupling = getattr(app, "coupling", None)
    rights = app_access.rights_found(user, app, app)
    if coupling is None:
        return Found(app, rights)
    return Found(app, rights, coupling.pipeline.name, coupling.stage)


def _likely(
    user: User, pipelines: Any, apps: Sequence[Found], recent: Sequence[str], each: int
) -> list[Group]:
    by_key: dict[str, Entry] = {f"app:{found.app.name}": _app_entry(found) for found in apps}
    by_key |= {f"pipeline:{name}": _pipeline_entry(pipeline) for name, (pipeline, _) in pipelines.items()}
    visited = [by_key.pop(key) for key in dict.fromkeys(recent) if key in by_key][:RECENT]
    rest = [entry for key, entry in by_key.items() if key.startswith("pipeline:")][:each]
    rest += [entry for key, entry in by_key.items() if key.startswith("app:")][: each - len(rest)]
    usual = [entry for _, entry in _everywhere(user)]
    return [Group("Recently visited", visited), Group("Jump to", rest), Group("Do", usual[:4])]


def _answers(
    user: User,
    words: list[str],
    roles: Any,
    pipelines: Any,
    apps: Sequence[Found],
    recent: Sequence[str],
    each: int,
) -> list[Group]:
    matching = _ranked([found for found in apps if _matches(words, found.text)], words, recent)
    named = [pipeline for name, (pipeline, _) in pipelines.items() if _matches(words, name)]
    jumps = [_pipeline_entry(pipeline) for pipeline in named] + [_app_entry(found) for found in matching]
    if matching and matching[0].app.name in words:
        jumps.sort(key=lambda entry: entry.label not in words)
    jumps = jumps[:each] + _domains(user, words, each) + _teams(words, roles)
    deeds, places = _offers(words, matching, apps, pipelines, recent)
    more_deeds, more_places = _of_pipelines(pipelines, words)
    elsewhere = [entry for text, entry in _everywhere(user) if _matches(words, text)]
    elsewhere += _invitations(words, roles)
    return [
        Group("Jump to", jumps),
        Group("Releases and commits", _releases(user, words, each)),
        Group("Pages", [*places, *more_places][:each]),
        Group("Do", [*deeds, *more_deeds, *elsewhere][:each]),
    ]


def _matches(words: Iterable[str], text: str) -> bool:
    return all(word in text for word in words)


def _ranked(found: Iterable[Found], words: Sequence[str], recent: Sequence[str]) -> list[Found]:
    """Exact names first, then what was visited lately, then names that begin so."""
    lately = {key: place for place, key in enumerate(recent)}

    def rank(one: Found) -> tuple[bool, int, bool, str]:
        name = one.app.name
        begins = any(name.startswith(word) for word in words)
        return name not in words, lately.get(f"app:{name}", len(lately)), not begins, name

    return sorted(found, key=rank)


# --- what belongs to an app -------------------------------------------------------------------------------------------
def _offers(
    words: list[str], matching: list[Found], apps: Sequence[Found], pipelines: Any, recent: Sequence[str]
) -> tuple[list[Entry], list[Entry]]:
    """Things to do, and pages: those that the words name, or the usual ones of the app that they mean."""
    deeds, places = (
        _named(DEEDS, words, apps, pipelines, recent),
        _named(PLACES, words, apps, pipelines, recent),
    )
    for found in matching[:1]:
        usual = [offer for offer in (*DEEDS, *PLACES) if offer.page in USUAL and offer.dialog]
        deeds = _made(usual, found, pipelines) + deeds
        places = _made([offer for offer in PLACES if offer.page in USUAL], found, pipelines) + places
    return list(dict.fromkeys(deeds)), list(dict.fromkeys(places))


def _named(
    offers: Sequence[Offer], words: list[str], apps: Sequence[Found], pipelines: Any, recent: Sequence[str]
) -> list[Entry]:
    """Offers that some of the words name, of the apps that the other words name."""
    entries: list[Entry] = []
    for offer in offers:
        said = [word for word in words if any(known.startswith(word) for known in offer.words.split())]
        if not said:
            continue
        others = [word for word in words if word not in said and word not in ("of", "to", "the", "on", "for")]
        fitting = _ranked([found for found in apps if _matches(others, found.text)], others, recent)
        for found in fitting[: 6 if others else 3]:
            entries += _made([offer], found, pipelines)
    return entries


def _made(offers: Iterable[Offer], found: Found, pipelines: Any) -> list[Entry]:
    """Those of `offers` that this app and its viewer's rights have room for."""
    entries = []
    for offer in offers:
        if (offer.right and offer.right not in found.rights) or not offer.fits(found):
            continue
        label = offer.label.format(found.app.name) + _where_to(offer, found, pipelines)
        away = not offer.page
        entries.append(Entry(label, _address(offer, found), offer.icon, "", offer.dialog, offer.key, away))
    return entries


def _where_to(offer: Offer, found: Found, pipelines: Any) -> str:
    """“ to production”, for a promotion."""
    if offer.page != "promotion-new" or found.stage is None:
        return ""
    stages = pipelines[found.pipeline][0].stages.all() if found.pipeline in pipelines else ()
    following = next((stage for stage in stages if stage.position > found.stage.position), None)
    return f" to {following.title.lower()}" if following else ""


def _address(offer: Offer, found: Found) -> str:
    if not offer.page:
        return found.app.web_url
    if offer.page == "promotion-new":
        return f"{link('promotion-new', found.pipeline)}?from={found.app.name}"
    return link(offer.page, found.app.name)


# --- lines ------------------------------------------------------------------------------------------------------------
def _app_entry(found: Found) -> Entry:
    where = f"App, {found.stage.title.lower()}" if found.stage else "App"
    return Entry(found.app.name, link("app", found.app.name), "cube", where)


def _pipeline_entry(pipeline: Pipeline) -> Entry:
    return Entry(pipeline.name, link("board", pipeline.name), "layers", "Pipeline")


def _mine(user: User) -> QuerySet[Any, Any]:
    return app_access.apps_for(user).values("pk")


def _domains(user: User, words: Sequence[str], each: int) -> list[Entry]:
    rows = Domain.objects.filter(app__in=_mine(user)).select_related("app")
    for word in words:
        rows = rows.filter(hostname__icontains=word)
    return [
        Entry(row.hostname, link("app", row.app.name), "globe", f"Domain of {row.app.name}")
        for row in rows[:each]
    ]


def _teams(words: Sequence[str], roles: Iterable[Membership]) -> list[Entry]:
    names = [membership.team.name for membership in roles if _matches(words, f"{membership.team.name} team")]
    return [Entry(name, link("team", name), "users", "Team") for name in names]


def _releases(user: User, words: Sequence[str], each: int) -> list[Entry]:
    """Of a version (`v42 shop`), or of a commit by the beginning of its sha; builds that made none as well."""
    versions = [int(match[1]) for word in words if (match := VERSION.fullmatch(word))]
    shas = [word for word in words if SHA.fullmatch(word)]
    found: list[Entry] = []
    for version in versions[:1]:
        rows = Release.objects.filter(app__in=_mine(user), version=version).select_related("app", "slug")
        found += [_release_entry(row) for row in _of_apps(rows, words, version, each)]
    for sha in shas[:1]:
        rest = [word for word in words if word != sha]
        rows = Release.objects.filter(app__in=_mine(user), slug__commit__startswith=sha).select_related(
            "app", "slug"
        )
        found += [_release_entry(row) for row in _of_apps(rows, rest, None, each)]
        builds = Build.objects.filter(app__in=_mine(user), source__commit__startswith=sha, release=None)
        builds = builds.select_related("app", "source")
        found += [_build_entry(row) for row in _of_apps(builds, rest, None, each)]
    return list(dict.fromkeys(found))[:each]


def _of_apps(rows: QuerySet[Any], words: Sequence[str], version: int | None, each: int) -> QuerySet[Any]:
    """Those of apps whose name holds the words that don't say the version, newest first."""
    for word in words:
        match = VERSION.fullmatch(word)
        if match is None or int(match[1]) != version:
            rows = rows.filter(app__name__icontains=word)
    if rows.model is Release:
        rows = rows.defer("sealed_config")
    return rows.order_by("-created_at")[:each]


def _release_entry(release: Release) -> Entry:
    label = f"{release} {release.app.name}"
    if release.slug and release.slug.message:
        label += f": {release.slug.message}"
    note = f"Release, {release.slug.short}" if release.slug and release.slug.short else "Release"
    return Entry(label, link("release", release.app.name, release.version), "commit", note)


def _build_entry(build: Build) -> Entry:
    label = f"{build.source} {build.app.name}: {build.source.message}".rstrip(": ")
    return Entry(label, link("build", build.app.name, build.pk), "hammer", f"Build, {build.status}")


def _invitations(words: Sequence[str], roles: Iterable[Membership]) -> list[Entry]:
    """For the teams that the viewer may invite people to."""
    return [
        Entry(f"Invite someone to {membership.team.name}", link("members", membership.team.name), "mail")
        for membership in roles
        if MANAGE in ROLE_RIGHTS[Membership.Role(membership.role)]
        and _matches(words, f"invite someone person people member to team {membership.team.name}")
    ]


def _everywhere(user: User) -> list[tuple[str, Entry]]:
    """What does not hang on an app: the words to find it by, and the line."""
    found = [
        ("new create pipeline", Entry("New pipeline", link("pipeline-new"), "plus")),
        ("new create app", Entry("New app", link("app-new"), "plus")),
        ("api tokens token new create key", Entry("API tokens", link("tokens"), "key")),
        ("your account profile password settings", Entry("Your account", link("account"), "user")),
        ("all pipelines", Entry("Pipelines", link("pipelines"), "layers")),
        ("all apps", Entry("Apps", link("apps"), "cube")),
        ("all teams new create team", Entry("Teams", link("teams"), "users")),
    ]
    if user.is_staff:
        found.append(("operators admin site", Entry("Operators’ site", link("admin:index"), "cpu")))
    return found


def _of_pipelines(pipelines: Any, words: Sequence[str]) -> tuple[list[Entry], list[Entry]]:
    """What can be done with pipelines, and their pages, as far as the words mean them."""
    deeds, places = [], []
    for name, (_, rights) in pipelines.items():
        if DEPLOY in rights and _matches(words, f"add an app new to pipeline {name}"):
            deeds.append(Entry(f"Add an app to {name}", link("coupling-new", name), "plus", dialog=True))
        if _matches(words, f"activity audit of pipeline {name}"):
            places.append(Entry(f"Activity of {name}", link("pipeline-activity", name), "pulse"))
        if _matches(words, f"settings stages of pipeline {name}"):
            places.append(Entry(f"Settings of {name}", link("pipeline-settings", name), "gear"))
    return deeds, places
