"""What an app's code is built for: a stack that slugs run on, or images, where the engine runs them."""

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.models import User
from apps.models import App
from core import activity, live
from core.errors import Refusal
from engine.stacks import CNB, CONTAINER, SLUGS

NO_REGISTRY = (
    "This Slipway keeps no images that are pushed to it. Push a Dockerfile with git, or have the operator set "
    "SLIPWAY_REGISTRY (docs/operating.md)."
)
NO_BUILDER = (
    "There is no builder for Cloud Native Buildpacks here. Have the operator set SLIPWAY_CNB_BUILDER to a builder image, like "
    "heroku/builder:24 (docs/operating.md)."
)
NO_CONTAINERS = (
    "Images run on a Docker engine only, and this Slipway runs dynos as local processes. Push code that a buildpack builds, or "
    "have the operator set ENGINE_URL."
)


def available() -> list[str]:
    """The names of the stacks that apps can have here."""
    if not has_containers():
        return [SLUGS]
    return [SLUGS, CONTAINER, CNB] if settings.CNB_BUILDER else [SLUGS, CONTAINER]


def has_containers() -> bool:
    """Whether dynos run in containers, so that apps can bring images of their own."""
    return settings.ENGINE_URL != "local:"


def demand_containers() -> None:
    """`Refusal` where no images can run."""
    if not has_containers():
        raise Refusal(NO_CONTAINERS, fields={"image": "There is no Docker engine here."})


def has_registry() -> bool:
    """Whether people can push images."""
    return has_containers() and bool(settings.REGISTRY)


def demand_registry() -> None:
    """`Refusal` where nobody can push images."""
    if not has_registry():
        raise Refusal(NO_REGISTRY, fields={"docker_image": "There is no registry here."})


def instance() -> str:
    """Whose the dynos and images on an engine are that others may use too: the same for all processes of this installation."""
    return f"slipway-{salted_hmac('conductor.instance', settings.APPS_HOST).hexdigest()[:10]}"


@transaction.atomic
def set_stack(app: App, stack: str, *, by: User) -> App:
    """Have the next build be for `stack`; what runs stays as it is until then."""
    if stack == app.stack:
        return app
    if stack in (CONTAINER, CNB):
        demand_containers()
    if stack == CNB and CNB not in available():
        raise Refusal(NO_BUILDER)
    if stack not in available():
        raise Refusal(f"There is no stack {stack[:40]}. There is {' and '.join(available())}.")
    before = app.stack
    App.objects.filter(pk=app.pk).update(stack=stack, updated_at=timezone.now())
    app.stack = stack
    activity.record(by, "changed the stack of", app, before=before, after=stack)
    live.tell(app.topic)
    return app
