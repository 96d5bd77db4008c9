"""What the code of a release says in its app.json that it can't do without."""

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, JSONField, OuterRef, Q, Subquery, When

from apps.models import App, ConfigVar
from releases import app_json
from releases.models import Manifest, Release, ReleaseQuerySet

MOST = 50  # add-ons that are looked at


@dataclass(frozen=True)
class Requirements:
    """What a release's app.json asks of an app that it is to run on."""

    config: tuple[str, ...] = ()  # names of config vars
    services: tuple[str, ...] = ()  # of add-ons, as often as it asks for one

    def missing_config(self, have: Container[str]) -> list[str]:
        """Of the config vars those that are not among `have`."""
        return [key for key in self.config if key not in have]

    def missing_services(self, have: Mapping[str, int]) -> list[str]:
        """Of the add-ons' services those that the app has none, or too few, of."""
        return sorted((Counter(self.services) - Counter(have)).keys())


def with_manifest(rows: ReleaseQuerySet, which: Q) -> ReleaseQuerySet:
    """`rows`, and with those of them that `which` chooses what `requirements_of` needs, in the same query: a manifest
    may be long, so not with all."""
    manifest = Manifest.objects.filter(slug=OuterRef("slug")).values("app_json")[:1]
    return rows.annotate(
        manifest=Case(When(which, then=Subquery(manifest)), default=None, output_field=JSONField())
    )


def requirements_of(release: Release) -> Requirements:
    """What the code of `release` needs, by its app.json; nothing without one. One query, or none `with_manifest`."""
    if hasattr(release, "manifest"):
        found = release.manifest
    elif release.slug_id:
        found = Manifest.objects.filter(slug=release.slug_id).values_list("app_json", flat=True).first()
    else:
        found = None
    if not found:
        return Requirements()
    read = app_json.read(found)
    return Requirements(tuple(read.required), tuple(_services(read.addons)))


def missing_required(release: Release, target: App) -> list[str]:
    """The config vars that the app.json of `release` requires and `target` lacks, by name: the values that it
    suggests are given to new apps only. Two queries."""
    needed = requirements_of(release)
    if not needed.config:
        return []
    return needed.missing_config(
        set(ConfigVar.objects.filter(app=target, key__in=needed.config).values_list("key", flat=True))
    )


def _services(addons: Any) -> list[str]:
    """The services of what app.json asks for; what is no add-on is told when it is built."""
    entries = addons if isinstance(addons, list | tuple) else []
    plans = [entry.get("plan") if isinstance(entry, dict) else entry for entry in entries[:MOST]]
    return [plan.partition(":")[0][:100] for plan in plans if isinstance(plan, str) and plan]
