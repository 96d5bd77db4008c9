"""Searching everything an operator may look for: by name, address, host name, commit or id."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import Model, Q
from django.urls import reverse
from unfold.dataclasses import SearchResult

from accounts.models import Team, User
from addons.models import Addon
from apps.models import App, Domain
from pipelines.models import Pipeline, Promotion
from releases.models import Build, Release, Slug

EACH = 8  # results of one kind
COMMIT = re.compile(r"[0-9a-f]{6,64}")
ICONS = {
    User: "person",
    Team: "group",
    Pipeline: "linear_scale",
    App: "deployed_code",
    Domain: "language",
    Addon: "extension",
    Build: "construction",
    Release: "new_releases",
    Slug: "inventory_2",
    Promotion: "north_east",
}
NAMED: tuple[tuple[type[Model], tuple[str, ...], tuple[str, ...]], ...] = (
    (User, ("email", "name"), ()),
    (Team, ("name",), ()),
    (Pipeline, ("name",), ("user", "team")),
    (App, ("name",), ("user", "team")),
    (Domain, ("hostname",), ("app",)),
    (Addon, ("name",), ("app",)),
)


def find(text: str) -> list[SearchResult]:
    """What fits `text`, the surest first."""
    text = text.strip()[:200]
    if uuid := _uuid(text):
        return [_result(row) for row in _with_id(uuid)]
    rows = [
        *_versions(text),
        *_named(text),
        *(_commits(text.lower()) if COMMIT.fullmatch(text.lower()) else ()),
    ]
    return [_result(row) for row in rows]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _with_id(uuid: UUID) -> Iterator[Any]:
    for model in ICONS:
        rows: Any = model._default_manager.filter(pk=uuid)
        yield from rows.select_related("app") if model in (Domain, Addon, Build, Release, Slug) else rows


def _named(text: str) -> Iterator[Any]:
    for model, columns, related in NAMED:
        fits = Q()
        for column in columns:
            fits |= Q(**{f"{column}__icontains": text})
        yield from model._default_manager.filter(fits).select_related(*related).order_by(columns[0])[:EACH]


def _versions(text: str) -> Iterator[Any]:
    """`shop v12`: one release of one app."""
    if named := re.fullmatch(r"([a-z0-9-]+)[ @]v?(\d{1,9})", text.lower()):
        rows = Release.objects.filter(app__name=named[1], version=int(named[2]))
        yield from rows.select_related("app").defer("sealed_config")


def _commits(text: str) -> Iterator[Any]:
    yield from Build.objects.filter(source__commit__startswith=text).select_related("app", "source")[:EACH]
    rows = Release.objects.filter(slug__commit__startswith=text).select_related("app", "slug")
    yield from rows.defer("sealed_config").order_by("-created_at")[:EACH]
    yield from (
        Slug.objects.filter(commit__startswith=text).select_related("app").order_by("-created_at")[:EACH]
    )


def _result(row: Any) -> SearchResult:
    meta = row._meta
    return SearchResult(
        title=str(row),
        description=_about(row),
        link=reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk]),
        icon=ICONS[type(row)],
    )


def _about(row: Any) -> str:
    kind = str(row._meta.verbose_name)
    if isinstance(row, User):
        return f"{row.name or 'person'}{'' if row.is_active else ', suspended'}"
    if isinstance(row, App | Pipeline):
        stopped = ", suspended" if getattr(row, "suspended_at", None) else ""
        return f"{kind} of {row.owner}{stopped}"
    if isinstance(row, Release):
        return f"release of {row.app}: {row.status}, {row.description}"
    if isinstance(row, Build):
        return f"{row.app}: {row.status}"
    if isinstance(row, Promotion):
        return f"promotion, {row.status}"
    return f"{kind} of {row.app}" if getattr(row, "app", None) else kind
