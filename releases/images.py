"""Releases of images that people have pushed: `heroku container:release` and `container:rm`."""

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.access import demand_not_suspended
from accounts.models import User
from apps import stacks
from apps.models import App
from core.errors import Refusal
from core.text import is_text
from engine.stacks import CONTAINER
from releases import doors
from releases.actions import create_release, current_slug
from releases.models import Release, Slug
from releases.registry import paths, upstream

TAG = "latest"  # the only one that is ever released
RELEASE = "release"
SHORT = 12
MOST_BYTES = 2**50  # a manifest may say what it likes


@dataclass(frozen=True)
class Pushed:
    """An image that was pushed for a process type."""

    reference: str  # by digest: it never means another image
    id: str  # as `docker images` shows it
    bytes: int
    command: str = ""  # empty: the image's own


def find(app: App, type: str, id: str) -> Pushed:
    """The image that was pushed last for a process type, if that is the one with `id`, the image's own or its manifest's;
    `Refusal` otherwise. Asks the registry."""
    stacks.demand_registry()
    if not paths.is_name(app.name, type):
        raise _not_pushed(app, type, id)
    repository = paths.repository(app.pk, type)
    found = upstream.fetch(f"{repository}/manifests/{TAG}")
    manifest, digest = found or ({}, "")
    config = _dict(manifest.get("config"))
    if id not in (config.get("digest"), digest) or not digest:
        raise _not_pushed(app, type, id)
    layers = [_dict(layer) for layer in manifest.get("layers") or ()]
    parts = [part.get("size") for part in (config, *layers)]
    return Pushed(
        f"{settings.REGISTRY}/{repository}@{digest}",
        id,
        min(sum(size for size in parts if isinstance(size, int) and size > 0), MOST_BYTES),
        _command(repository, config.get("digest")) if type == RELEASE else "",
    )


def release(app: App, images: Mapping[str, Pushed | None], *, by: User) -> Release:
    """Release the images of these process types, and without those that are None; every other type keeps its own. The
    release begins as any other does."""
    stacks.demand_containers()
    if app.stack != CONTAINER:
        raise Refusal(
            f"{app.name} is not on the stack container. Set it first: heroku stack:set container -a {app.name}"
        )
    demand_not_suspended(app)
    doors.demand_open(app, by=by)
    with transaction.atomic():
        App.objects.select_for_update().get(pk=app.pk)
        before = current_slug(app)
        slug = _slug(app, before if before and before.stack == CONTAINER else None, images)
        return create_release(app, kind=Release.Kind.DEPLOY, description=_describe(images), by=by, slug=slug)


def _slug(app: App, before: Slug | None, images: Mapping[str, Pushed | None]) -> Slug:
    """What `before` runs, with these images instead."""
    commands: dict[str, str] = dict(before.process_types) if before else {}
    refs = {type: before.image_of(type) for type in commands} if before else {}
    for type, image in images.items():
        if image is None:
            if commands.pop(type, None) is None:
                raise Refusal(
                    f"{app.name} has no process type {type}. It has: {', '.join(refs) or 'none yet'}."
                )
            del refs[type]
        else:
            commands[type], refs[type] = image.command, image.reference
    if not set(commands) - {RELEASE}:
        raise Refusal(
            f"Nothing of {app.name} would be left to run. Scale its dynos to 0, or release another image."
        )
    main = refs.get("web") or next(ref for type, ref in refs.items() if type != RELEASE)
    return Slug.objects.create(
        app=app,
        digest="sha256:" + hashlib.sha256(repr(sorted(refs.items())).encode()).hexdigest(),
        bytes=sum(image.bytes for image in images.values() if image),
        image=main,
        images={type: ref for type, ref in refs.items() if ref != main},
        process_types=commands,
        buildpacks=["image"],
        stack=CONTAINER,
    )


def _command(repository: str, digest: Any) -> str:
    """What an image runs. The release phase shows its command, so it has to be known."""
    found = upstream.fetch(f"{repository}/blobs/{digest}", accept="*/*") if isinstance(digest, str) else None
    config = _dict(found[0].get("config")) if found else {}
    parts = [config.get(name) or [] for name in ("Entrypoint", "Cmd")]
    words = [word for part in parts if isinstance(part, list) for word in part]
    if not words or not all(isinstance(word, str) and is_text(word) for word in words):
        raise Refusal(
            "The image for release says nothing to run. Give its Dockerfile a CMD, and push it again."
        )
    return shlex.join(words)


def _describe(images: Mapping[str, Pushed | None]) -> str:
    came = [f"{type} ({image.id.removeprefix('sha256:')[:SHORT]})" for type, image in images.items() if image]
    gone = [type for type, image in images.items() if image is None]
    parts = [f"{verb} {', '.join(what)}" for verb, what in (("Deployed", came), ("Removed", gone)) if what]
    return "; ".join(parts)


def _not_pushed(app: App, type: str, id: str) -> Refusal:
    shown = f"{settings.REGISTRY_HOST}/{app.name}/{type[:40]}"
    return Refusal(
        f"“{id[:80]}” is not the image that was pushed last for {type[:40]}. Push it: docker push {shown}",
        fields={"docker_image": "It was not pushed, or another one was pushed since."},
    )


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
