"""Rows as webhooks tell of them: what the Platform API shows of the same thing, without whatever opens something (the
address of an output, say)."""

from datetime import UTC, datetime
from functools import singledispatch
from typing import Any

from django.conf import settings
from django.db.models import Model

from accounts.models import Team, User
from addons.models import Addon, Attachment
from apps.models import App, Certificate, Collaborator, Domain, Dyno, Formation
from core import names
from pipelines.models import Coupling, Pipeline, Promotion
from releases.models import Build, Release

Data = dict[str, Any]
VERSION = "application/vnd.heroku+json; version=3"  # of the shapes


def time(moment: datetime | None) -> str | None:
    """As the API writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def person(user: User | None) -> Data:
    """`user`, or the platform itself."""
    if user is None:
        return {"id": "00000000-0000-0000-0000-000000000000", "email": "slipway@slipway.invalid"}
    return {"id": str(user.pk), "email": user.email}


@singledispatch
def data(row: Model) -> Data:
    """The row as the API shows it. Of a kind that has no shape here: what it is called and where it belongs."""
    told: Data = {"id": str(row.pk), "name": str(row)}
    app = getattr(row, "app", None)
    return told | ({"app": _named(app)} if app else {}) | _times(row)


@data.register
def _(row: App) -> Data:
    current = row.releases.filter(current=True).select_related("slug").first()
    owner = person(row.user)
    if row.team:
        owner = {"id": str(row.team.pk), "email": f"{row.team.name}@herokumanager.com"}
    return {
        **_named(row),
        "owner": owner,
        "team": _named(row.team),
        "region": _fixed("region", "local"),
        "stack": _fixed("stack", row.stack),
        "build_stack": _fixed("stack", row.stack),
        "git_url": row.git_url,
        "web_url": row.web_url,
        "maintenance": row.maintenance,
        "released_at": time(current.finished_at) if current else None,
        "slug_size": current.slug.bytes if current and current.slug else None,
        "archived_at": None,
        **_times(row),
    }


@data.register
def _(row: Build) -> Data:
    return {
        "id": str(row.pk),
        "app": _named(row.app),
        "status": {"running": "pending", "cancelled": "failed"}.get(row.status, row.status),
        "user": person(row.by),
        "stack": row.stack,
        "buildpacks": [{"name": name} for name in row.buildpacks],
        "source_blob": {
            "url": "",
            "version": row.source.commit or row.source.version or None,
            "checksum": row.source.checksum.replace("sha256:", "SHA256:") or None,
            "version_description": row.source.message or None,
        },
        "output_stream_url": None,
        "release": _ref(row.release_id),
        "slug": _ref(row.slug_id),
        **_times(row),
    }


@data.register
def _(row: Release) -> Data:
    return {
        "id": str(row.pk),
        "app": _named(row.app),
        "version": row.version,
        "description": row.description,
        "status": "pending" if row.status == "running" else row.status,
        "current": row.current,
        "user": person(row.by),
        "slug": _ref(row.slug_id),
        "addon_plan_names": row.addon_plans,
        "output_stream_url": None,
        **_times(row),
    }


@data.register
def _(row: Formation) -> Data:
    current = row.app.releases.filter(current=True).first()
    return {
        "id": str(row.pk),
        "app": _named(row.app),
        "type": row.type,
        "command": current.process_types.get(row.type, "") if current else "",
        "quantity": row.quantity,
        "size": names.size(row.size),
        **_times(row),
    }


@data.register
def _(row: Dyno) -> Data:
    return {
        "id": str(row.pk),
        "app": _named(row.app),
        "name": row.name,
        "type": row.type,
        "command": row.command,
        "size": names.size(row.size),
        "state": row.state,
        "exit_status": row.exit_code,
        "release": {"version": row.release_version},
        "attach_url": None,
        "created_at": time(row.created_at),
        "updated_at": time(row.state_at),
    }


@data.register
def _(row: Collaborator) -> Data:
    return {
        "id": str(row.pk),
        "app": _named(row.app),
        "user": {**person(row.user), "federated": False},
        "role": "collaborator",
        "permissions": [{"name": right, "description": ""} for right in row.rights],
        **_times(row),
    }


@data.register
def _(row: Domain) -> Data:
    return {
        "id": str(row.pk),
        "app": _named(row.app),
        "hostname": row.hostname,
        "kind": "custom",
        "cname": f"{row.app.name}.{settings.APPS_HOST}",
        "status": "succeeded",
        **_times(row),
    }


@data.register
def _(row: Certificate) -> Data:
    return {
        **_named(row),
        "app": _named(row.app),
        "certificate_chain": row.chain,
        "domains": [str(pk) for pk in row.domains.values_list("pk", flat=True)],
        **_times(row),
    }


@data.register
def _(row: Addon) -> Data:
    return {
        **_named(row),
        "app": _named(row.owner),
        "addon_service": _named(row.service),
        "plan": {"id": str(row.plan_id), "name": row.plan.full_name},
        "state": row.public_state,
        **_times(row),
    }


@data.register
def _(row: Attachment) -> Data:
    addon = {**_named(row.addon), "app": _named(row.addon.owner)}
    return {**_named(row), "app": _named(row.app), "addon": addon, **_times(row)}


@data.register
def _(row: Pipeline) -> Data:
    kind = "team" if isinstance(row.owner, Team) else "user"
    return {**_named(row), "owner": {"id": str(row.owner.pk), "type": kind}, **_times(row)}


@data.register
def _(row: Coupling) -> Data:
    return {
        "id": str(row.pk),
        "app": _named(row.app),
        "pipeline": _named(row.pipeline),
        "stage": row.stage.word,
        "stage_name": row.stage.name,
        **_times(row),
    }


@data.register
def _(row: Promotion) -> Data:
    return {
        "id": str(row.pk),
        "pipeline": {"id": str(row.pipeline_id)},
        "source": {"app": {"id": str(row.source_id)}, "release": {"id": str(row.release_id)}},
        "status": row.status,
        "created_at": time(row.created_at),
        "updated_at": time(row.completed_at or row.created_at),
    }


def _named(row: Any) -> Any:
    return {"id": str(row.pk), "name": row.name} if row else None


def _ref(id: Any) -> Data | None:
    return {"id": str(id)} if id else None


def _fixed(kind: str, name: str) -> Data:
    return {"id": str(names.fixed(kind, name)), "name": name}


def _times(row: Any) -> Data:
    created = getattr(row, "created_at", None)
    updated = getattr(row, "updated_at", None) or getattr(row, "finished_at", None) or created
    return {"created_at": time(created), "updated_at": time(updated)}
