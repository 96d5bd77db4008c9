"""A builder image, and what it says of itself: who builds, for what, with which buildpacks, on which run image."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import BuildFailed, EngineError
from engine.builder.containers.image_store import ImageStore

METADATA = "io.buildpacks.builder.metadata"
# Of the Platform API, the newest first. Older ones can't export to a folder.
VERSIONS = ("0.14", "0.13", "0.12")
MEND = "The operator chooses it by SLIPWAY_CNB_BUILDER."


@dataclass(frozen=True)
class Builder:
    """A builder image on the engine, with the run image that belongs to it."""

    name: str
    image: str  # its id
    uid: int
    gid: int
    api: str  # of the platform, that both of us speak
    run_image: str  # its name
    buildpacks: Mapping[str, Sequence[str]]  # {id: versions}, the newest last


def find(store: ImageStore, name: str, say: Callable[[str], None]) -> Builder:
    """The builder of this name; pulled, and so is its run image, when the engine lacks them. `BuildFailed` for what is no
    builder, or none that we can use; each says why."""
    image = _had(store, name, say)
    builder = read(name, image.id, image.attrs["Config"])
    _had(store, builder.run_image, say)
    return builder


def read(name: str, image: str, config: Mapping[str, Any]) -> Builder:
    """What the image's config says; `BuildFailed` with what is wrong with it."""
    labels, env = config.get("Labels") or {}, dict(line.split("=", 1) for line in config.get("Env") or ())
    try:
        told = json.loads(labels[METADATA])
        run_image = _run_image(told)
        speaks = told["lifecycle"]["apis"]["platform"]
        versions = {*speaks.get("supported", ()), *speaks.get("deprecated", ())}
        found: dict[str, list[str]] = {}
        for each in told.get("buildpacks", ()):
            found.setdefault(str(each["id"]), []).append(str(each["version"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BuildFailed(f"{name} is no builder of Cloud Native Buildpacks. {MEND}") from None
    api = next((version for version in VERSIONS if version in versions), "")
    if not api:
        raise BuildFailed(
            f"The lifecycle of {name} speaks none of the Platform APIs {', '.join(VERSIONS)}. {MEND}"
        )
    uid, gid = env.get("CNB_USER_ID", ""), env.get("CNB_GROUP_ID", "")
    if not (uid.isdecimal() and gid.isdecimal() and int(uid)):
        raise BuildFailed(
            f"{name} does not say as whom to build: CNB_USER_ID and CNB_GROUP_ID. It may not be root. {MEND}"
        )
    return Builder(name, image, int(uid), int(gid), api, run_image, found)


def _run_image(told: Mapping[str, Any]) -> str:
    """The name of the run image: newer builders have a list."""
    for each in told.get("images") or ():
        return str(each["image"])
    return str(told["stack"]["runImage"]["image"])


def _had(store: ImageStore, name: str, say: Callable[[str], None]) -> Any:
    """The image of this name, which the engine has from here on."""
    if (found := store.find(name)) is not None:
        return found
    say(f"       Pulling {name}")
    try:
        for _ in store.pull(name):
            pass
    except BuildFailed as fault:
        raise EngineError(f"{fault} {MEND}", permanent=True) from fault
    if (found := store.find(name)) is None:
        raise EngineError(f"{name} was not pulled. {MEND}")
    return found
