"""Things for tests, made through the product's own actions."""

import itertools
from typing import Any

from django.utils import timezone

from accounts.models import User
from addons import catalog
from addons.models import Addon, Attachment
from apps import actions as app_actions
from apps.models import App, Formation
from pipelines import actions as pipeline_actions
from pipelines import balancing
from pipelines.models import Coupling, Pipeline, SharedAddon, Stage
from releases.actions import create_release
from releases.models import Release, Slug, Source

_numbers = itertools.count(1)


def make_user(email: str | None = None, password: str = "a fine password", **extra: Any) -> User:
    return User.objects.create_user(email or f"user{next(_numbers)}@example.com", password, **extra)


def make_app(
    name: str | None = None, *, owner: Any = None, stage: Stage | None = None, released: bool = False
) -> App:
    owner = owner or User.objects.first() or make_user()
    by = owner if isinstance(owner, User) else owner.members.first()
    app = app_actions.create_app(name or f"app-{next(_numbers)}", owner=owner, by=by)
    if stage:
        pipeline_actions.couple(app, stage, by=by)
    if released:
        make_release(app, by=by)
    return app


def make_slug(app: App, **extra: Any) -> Slug:
    n = next(_numbers)
    values = {
        "digest": f"sha256:{n:064x}",
        "commit": f"{n:040x}",
        "message": f"Change number {n}",
        "author": "Alice Liddell",
        "process_types": {"web": "python -m http.server $PORT"},
        **extra,
    }
    return Slug.objects.create(app=app, **values)


def make_release(
    app: App,
    *,
    by: User | None = None,
    slug: Slug | None = None,
    status: str = "succeeded",
    current: bool = True,
    kind: str = "deploy",
    description: str = "",
) -> Release:
    """A release in an end state, as the conductor would have left it."""
    slug = slug or make_slug(app)
    release = create_release(
        app, kind=kind, description=description or f"Deploy {slug.short}", by=by, slug=slug
    )
    if current and status == "succeeded":
        Release.objects.filter(app=app).update(current=False)
        Release.objects.filter(pk=release.pk).update(current=True)
        for type in slug.process_types:
            Formation.objects.get_or_create(app=app, type=type, defaults={"quantity": int(type == "web")})
    Release.objects.filter(pk=release.pk).update(status=status, finished_at=timezone.now())
    release.refresh_from_db()
    return release


def make_source(app: App, **extra: Any) -> Source:
    return Source.objects.create(app=app, commit=f"{next(_numbers):040x}", branch="main", **extra)


def make_pipeline(name: str = "shop", *, owner: Any = None) -> Pipeline:
    owner = owner or User.objects.first() or make_user()
    by = owner if isinstance(owner, User) else owner.members.first()
    return pipeline_actions.create_pipeline(name, owner=owner, by=by)


def stage(pipeline: Pipeline, name: str) -> Stage:
    return Stage.objects.get(pipeline=pipeline, name=name)


def couple(app: App, pipeline: Pipeline, name: str, *, by: User) -> Coupling:
    return pipeline_actions.couple(app, stage(pipeline, name), by=by)


def make_addon(
    app: App, plan: str = "heroku-postgresql:mini", *, name: str = "", as_: str = "DATABASE"
) -> Addon:
    """An add-on at rest, attached to its app, of which no provider knows."""
    addon = Addon(app=app, plan=catalog.plan_called(plan), name=name or f"addon-{next(_numbers)}")
    addon.secret = "a secret"
    addon.config = {"": {suffix: f"value-of-{addon.name}" for suffix in addon.service.config}}
    addon.save(force_insert=True)
    Attachment.objects.create(app=app, addon=addon, name=as_)
    return addon


def make_balancer(pipeline: Pipeline, name: str, *apps: App, called: str = "") -> Addon:
    """A load balancer of this stage at rest, attached to `apps`."""
    plan = catalog.plan_called("loadbalancer")
    addon = Addon(pipeline=pipeline, plan=plan, name=called or f"addon-{next(_numbers)}")
    addon.secret = "a secret"
    addon.save(force_insert=True)
    addon.config = {"": {"URL": balancing.give_address(addon, pipeline).url}}
    addon.save()
    SharedAddon.objects.create(addon=addon, stage=stage(pipeline, name), name="LOADBALANCER")
    for app in apps:
        Attachment.objects.create(app=app, addon=addon, name="LOADBALANCER")
    return addon


def make_shared_addon(pipeline: Pipeline, *apps: App, name: str = "", as_: str = "SHARED") -> Addon:
    """An add-on of a pipeline's own at rest, shared with every stage and attached to `apps`."""
    plan = catalog.plan_called("heroku-postgresql:mini")
    addon = Addon(pipeline=pipeline, plan=plan, name=name or f"addon-{next(_numbers)}")
    addon.secret = "a secret"
    addon.config = {"": {"URL": f"value-of-{addon.name}"}}
    addon.save(force_insert=True)
    SharedAddon.objects.create(addon=addon, name=as_)
    for app in apps:
        Attachment.objects.create(app=app, addon=addon, name=as_)
    return addon
