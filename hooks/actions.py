"""What is done with webhooks."""

import secrets as random
from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from apps.models import App
from core import activity
from core.errors import NotFound, Refusal
from hooks import includes
from hooks.models import Delivery, DeliveryQuerySet, News, Webhook
from pipelines.models import Pipeline

MAX_WEBHOOKS = 10  # of an app, or of a pipeline


@transaction.atomic
def add_webhook(
    owner: App | Pipeline,
    *,
    include: Sequence[str],
    level: str,
    url: str,
    secret: str | None = None,
    authorization: str | None = None,
    by: User,
) -> Webhook:
    """Have `url` told of what happens to an app or a pipeline. `secret` signs what is sent; without one it is made up,
    and `webhook.secret` of what is returned tells it."""
    of_app = isinstance(owner, App)
    include = includes.check_include(include, includes.OF_APPS if of_app else includes.OF_PIPELINES)
    rows = type(owner).objects.select_for_update().filter(pk=owner.pk)
    if not rows or webhooks_of(owner).count() >= MAX_WEBHOOKS:
        raise Refusal(f"{owner} has {MAX_WEBHOOKS} webhooks, which is the limit. Remove one first.")
    hook = Webhook(
        **_of(owner), include=include, level=includes.check_level(level), url=includes.check_url(url)
    )
    hook.secret = includes.check_header(secret or random.token_hex(32), "secret")
    hook.authorization = includes.check_header(authorization or "", "authorization")
    hook.save(force_insert=True)
    activity.record(by, "added", hook, **_place(hook), include=include, level=level)
    return hook


@transaction.atomic
def change_webhook(
    hook: Webhook,
    *,
    include: Sequence[str] | None = None,
    level: str | None = None,
    url: str | None = None,
    secret: str | None = None,
    authorization: str | None = None,
    by: User,
) -> Webhook:
    """Change what is given. What waits to be delivered goes to where it leads now."""
    if include is not None:
        known = includes.OF_PIPELINES if hook.pipeline_id else includes.OF_APPS
        hook.include = includes.check_include(include, known)
    if level is not None:
        hook.level = includes.check_level(level)
        hook.deliveries.update(level=level)
    if url is not None:
        hook.url = includes.check_url(url)
    if secret:
        hook.secret = includes.check_header(secret, "secret")
    if authorization is not None:
        hook.authorization = includes.check_header(authorization, "authorization")
    hook.failures, hook.rests_until, hook.updated_at = 0, None, timezone.now()
    hook.save()
    activity.record(by, "changed", hook, **_place(hook), include=hook.include, level=hook.level)
    return hook


@transaction.atomic
def remove_webhook(hook: Webhook, *, by: User) -> None:
    """Tell it nothing more, of what waits to be delivered neither."""
    activity.record(by, "removed", hook, **_place(hook))
    hook.delete()


def webhooks_of(owner: App | Pipeline) -> QuerySet[Webhook]:
    """The webhooks of an app or a pipeline."""
    return Webhook.objects.filter(**_of(owner))


def deliveries_of(owner: App | Pipeline) -> DeliveryQuerySet:
    """What they were told, or are to be."""
    rows: DeliveryQuerySet = Delivery.objects.filter(webhook__in=webhooks_of(owner))
    return rows.placed().select_related("news")


def news_of(owner: App | Pipeline) -> QuerySet[News]:
    """What happened to `owner` that a webhook was to be told of."""
    return News.objects.filter(**{"app_id" if isinstance(owner, App) else "pipeline_id": owner.pk})


def webhook_of(owner: App | Pipeline, ref: str) -> Webhook:
    """The webhook with this id; `NotFound` when it is not one of `owner`'s."""
    for hook in webhooks_of(owner).select_related("app", "pipeline"):
        if str(hook.pk) == ref.lower():
            return hook
    raise NotFound("Couldn't find that webhook.", resource="webhook")


def _of(owner: App | Pipeline) -> dict[str, App | Pipeline]:
    return {"app": owner} if isinstance(owner, App) else {"pipeline": owner}


def _place(hook: Webhook) -> dict[str, App | Pipeline | None]:
    return {"app": hook.app, "pipeline": hook.pipeline}
