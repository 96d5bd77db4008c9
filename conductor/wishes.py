"""What should run of an app, as its rows say it."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from addons.volumes import Attached
from apps import features
from apps.models import App, ConfigVar, Domain, Dyno, Formation
from apps.models import Certificate as CertificateRow
from core import secrets
from core.secrets import Tampered
from engine.spec import SIZES, Attach, Certificate, ProcessSpec, Stake
from engine.stacks import CNB, PROCESSES
from pipelines import balancing
from releases.models import Release, Slug

log = logging.getLogger(__name__)

RELEASE = "release"  # the process type of the release phase, which never runs as part of the formation
WEB = "web"
NOT_KEPT = ("release.", "test.")  # how ids begin of what others than the keeper start and stop
START_STEP = (
    2  # of `conductor.releases.STEPS`: from there on a running release has dynos beside the current one
)
ONE_OFF_SECONDS = 24 * 3600.0
CANARY_STEP = 3  # and from there on a share of the requests, if it is on trial
_HAS_DYNOS = Q(current=True) | Q(status="running", step__gte=START_STEP)
_FIELDS = (
    *("app_id", "version", "current", "status", "process_types", "slug__digest"),
    *("step", "canary_percent"),
)


@dataclass
class View:
    """An app as its rows have it at one moment."""

    app: App
    current: Release | None = None
    coming: Release | None = None  # runs, and has got to starting its dynos
    formation: dict[str, Formation] = field(default_factory=dict)
    dynos: list[Dyno] = field(default_factory=list)
    one_offs: list[Dyno] = field(default_factory=list)
    domains: list[Domain] = field(default_factory=list)
    stakes: list[Stake] = field(default_factory=list)  # in addresses that it shares with other apps

    @property
    def hosts(self) -> frozenset[str]:
        """Every host name that reaches it."""
        return frozenset(
            [f"{self.app.name}.{settings.APPS_HOST}".lower(), *(each.hostname for each in self.domains)]
        )

    @property
    def certificates(self) -> dict[str, Certificate]:
        """What its host names show to who comes by TLS, as far as they have certificates of their own."""
        chosen = {each.hostname: _opened(each.certificate) for each in self.domains if each.certificate}
        return {hostname: certificate for hostname, certificate in chosen.items() if certificate}

    @property
    def challenges(self) -> dict[str, str]:
        """What is answered to a certificate authority that asks whether its domains are ours."""
        return {token: answer for each in self.domains for token, answer in each.challenge.items()}

    @property
    def halted(self) -> bool:
        """Whether none of its dynos may run."""
        return bool(self.app.suspended_at or self.app.destroyed_at)

    def sleeps(self, row: Dyno) -> bool:
        """Whether `row` is there and does not run: its app sleeps, and it is not of a release on its way."""
        of_coming = self.coming is not None and row.release_version == self.coming.version
        return self.app.asleep_since is not None and not of_coming

    def wanted(self, release: Release | None) -> dict[tuple[str, int], Formation]:
        """The dynos that `release` should have, by type and number."""
        if release is None or release.slug is None or self.halted:
            return {}
        return {
            (type, number): row
            for type in release.process_types
            if type != RELEASE and (row := self.formation.get(type))
            for number in range(1, row.quantity + 1)
        }

    def releases(self) -> list[Release]:
        """Those that have dynos."""
        return [release for release in (self.current, self.coming) if release]

    @property
    def share(self) -> int:
        """The percent of the requests that the release on its way gets."""
        on_trial = self.coming is not None and self.coming.step >= CANARY_STEP
        return self.coming.canary_percent if self.coming and on_trial else 0

    def is_wanted(self, row: Dyno) -> bool:
        """Whether `row` is a dyno that should run."""
        release = next((r for r in self.releases() if r.version == row.release_version), None)
        return (row.type, row.number) in self.wanted(release)


def views(app_ids: Iterable[UUID] | None = None) -> dict[UUID, View]:
    """The views of these apps, or of all, in a fixed number of queries.

    Apps are read last. Who puts one to sleep gives its dynos a new generation in the same transaction: read the other
    way round, an app still awake with dynos of that generation, they would be started.
    """
    chosen: dict[str, Any] = {} if app_ids is None else {"pk__in": list(app_ids)}
    of = {} if app_ids is None else {"app_id__in": chosen["pk__in"]}
    releases = list(Release.objects.filter(_HAS_DYNOS, **of).select_related("slug").only(*_FIELDS))
    formations = list(Formation.objects.filter(**of))
    rows = list(Dyno.objects.filter(**of))
    domains = list(Domain.objects.filter(**of).select_related("certificate"))
    found = {app.pk: View(app) for app in App.objects.filter(**chosen)}
    for release in releases:
        if release.app_id in found and release.current:
            found[release.app_id].current = release
        elif release.app_id in found:
            found[release.app_id].coming = release
    for formation in formations:
        if formation.app_id in found:
            found[formation.app_id].formation[formation.type] = formation
    for row in rows:
        if row.app_id in found:
            view = found[row.app_id]
            (view.one_offs if row.one_off else view.dynos).append(row)
    for domain in domains:
        if domain.app_id in found:
            found[domain.app_id].domains.append(domain)
    for app_id, stake in balancing.stakes(chosen.get("pk__in")):
        if app_id in found:
            found[app_id].stakes.append(stake)
    return found


def view(app_id: UUID) -> View | None:
    """The view of one app; None when it is gone."""
    return views([app_id]).get(app_id)


def _opened(row: CertificateRow) -> Certificate | None:
    """What the engine is told of a certificate; None when its key does not open: the app has to go on without."""
    try:
        return _with_key(row.bound_to, row.chain, row.sealed_key)
    except Tampered as error:
        log.error("The certificate %s is not shown: %s", row, error)
        return None


@lru_cache(maxsize=512)
def _with_key(bound_to: str, chain: str, sealed: str) -> Certificate:
    return Certificate(chain, secrets.unseal(sealed, to=bound_to).decode())


@lru_cache(maxsize=512)
def _made(app_id: UUID, version: int) -> tuple[Release, dict[str, str]]:
    """A release whose triple is whole, and its plain config: neither ever changes. `LookupError` without one."""
    release = Release.objects.select_related("slug").filter(app=app_id, version=version).first()
    if release is None or release.slug is None:
        raise LookupError(f"v{version} of {app_id} has no code")
    return release, release.config


def _with_code(app_id: UUID, version: int, code: UUID) -> tuple[Release, dict[str, str]]:
    """A release as it would be with other code; version 0 is what the next one would be. `LookupError` when one of them
    is gone."""
    release = Release.objects.filter(app=app_id, version=version).first()
    slug = Slug.objects.filter(pk=code).first()
    if slug is None or (release is None and version):
        raise LookupError(f"v{version} of {app_id} or slug {code} is gone")
    if release is None:
        rows = ConfigVar.objects.filter(app=app_id)
        return Release(app_id=app_id, version=0, slug=slug), {var.key: var.value for var in rows}
    release.slug = slug
    return release, release.config


def environment(app: App, release: Release, config: dict[str, str]) -> dict[str, str]:
    """What a dyno of `release` finds in its environment: the release's own config, and who it is."""
    commit = release.slug.commit if release.slug else ""
    facts = {"APP_NAME": app.name, "RELEASE_VERSION": f"v{release.version}", "SLUG_COMMIT": commit}
    known = {f"SLIPWAY_{name}": value for name, value in facts.items()}
    if features.is_on(app, features.METADATA):  # https://devcenter.heroku.com/articles/dyno-metadata
        facts |= {
            "APP_ID": str(app.pk),
            "APP_DEFAULT_DOMAIN_NAME": f"{app.name}.{settings.APPS_HOST}",
            "RELEASE_CREATED_AT": release.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "BUILD_COMMIT": commit,
            "BUILD_DESCRIPTION": release.description,
        }
        known |= {f"HEROKU_{name}": value for name, value in facts.items()}
    return {**config, **known}


def spec(app: App, row: Dyno, id: str, *, stream: str = "", attached: Attached | None = None) -> ProcessSpec:
    """How the engine is told of one start of a dyno; `LookupError` when its release or slug is gone. Who asks for several
    gives what is `attached` to the app along."""
    version = row.release_version
    release, config = _with_code(app.pk, version, row.code) if row.code else _made(app.pk, version)
    assert release.slug is not None
    image = release.slug.image_of(row.type)
    seconds = float(row.time_to_live or ONE_OFF_SECONDS) if row.one_off else None
    return ProcessSpec(
        id=id,
        app=str(app.pk),
        dyno=row.name,
        command=_command(row, release.slug),
        slug="" if image else release.slug.digest,
        env={**environment(app, release, config), **row.env},
        slot=app.slot,
        size=SIZES.get(row.size, SIZES["standard-1x"]),
        web=row.type == WEB and not row.one_off,
        health_path=app.health_path if row.type == WEB else "",
        boot_seconds=settings.BOOT_SECONDS,
        stop_seconds=settings.STOP_SECONDS,
        one_off=row.one_off,
        seconds=seconds,
        stream=stream or row.stream,
        attach=_attach(row),
        inside=row.inside,
        stack=release.slug.stack,
        image=image,
        volumes=(attached or Attached(app)).of(config),
    )


def _command(row: Dyno, slug: Slug) -> str:
    """What the engine is to run: of an image of buildpacks a process type by its name, since they say more of it than its
    command."""
    if slug.stack == CNB and row.command == slug.process_types.get(row.type):
        return f"{PROCESSES}{row.type}"
    return row.command


def _attach(row: Dyno) -> Attach | None:
    """How somebody sits at it; the terminal is as large as the client said it is."""
    if not row.attached:
        return None
    columns, lines = (
        int(text) if text.isdecimal() and 0 < int(text) < 10_000 else usual
        for text, usual in ((row.env.get("COLUMNS", ""), 80), (row.env.get("LINES", ""), 24))
    )
    return Attach(row.attached == "tty", columns, lines)
