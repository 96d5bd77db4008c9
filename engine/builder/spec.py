"""What a build is told and what it answers: plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MB = 1024 * 1024
BUILTIN = ("python", "nodejs", "static", "procfile")


class BuildCancelled(Exception):
    """Somebody asked for the build to end, and it has."""


@dataclass(frozen=True)
class BuildLimits:
    """What a build may use; past a bound it fails with the reason (promise I-13)."""

    seconds: float = 15 * 60
    memory: int = 2048 * MB  # bytes, all its processes together
    output_bytes: int = 300 * MB
    slug_bytes: int = 500 * MB  # the compressed slug
    unpacked_bytes: int = 2048 * MB  # the source, and the slug's files
    disk_bytes: int = 6144 * MB  # work folder and cache together
    processes: int = 1024
    cpus: float = 2.0  # cores; without containers nothing holds a build to it
    files: int = 400_000


@dataclass(frozen=True)
class BuildSpec:
    """One build. `work` is a folder of this build alone: made, used and removed by `build`."""

    id: str
    app: str  # the app's UUID
    source: Path  # a tar archive: plain, gzipped or zstd
    env: Mapping[str, str] = field(repr=False)  # the config vars, for the buildpacks' ENV_DIR only
    cache: Path  # of one build at a time, for the next; in containers a volume of this name
    buildpacks: Sequence[str]  # names or URLs, in order; none: they are detected
    stack: str
    slot: int  # the app's number; picks its system user
    limits: BuildLimits
    work: Path
    fresh: bool = False  # whether to begin with an empty cache
    image: str = ""  # a ready-made image to run instead of building `source`, by its name in a registry
    command: str = ""  # run after the buildpacks, for a slug only
    test: bool = (
        False  # whether it is to be tested: with what only tests need, by the buildpacks' bin/test-compile
    )


@dataclass(frozen=True)
class BuildResult:
    """A slug in the store, or images on the engine, and what runs from it."""

    digest: str  # "sha256:…"; of images: the id of the one, or of all together
    bytes: int
    unpacked_bytes: int
    process_types: dict[str, str]
    buildpacks: list[str]  # the names that the buildpacks gave themselves
    image: str = ""  # what dynos run instead of a slug, as the engine knows it
    images: dict[str, str] = field(
        default_factory=dict
    )  # {process type: image}, of those that run another one
    app_json: dict[str, Any] = field(default_factory=dict)  # what the source says of itself
