"""Builds: source in, slug out, with nothing of the platform within the build's reach."""

from typing import TYPE_CHECKING

from engine.builder.spec import BuildCancelled, BuildLimits, BuildResult, BuildSpec

if TYPE_CHECKING:
    from engine.builder.run import build

__all__ = ["BuildCancelled", "BuildLimits", "BuildResult", "BuildSpec", "build"]


def __getattr__(name: str) -> object:
    """`build` is imported when it is first asked for: the child of a build, which imports from this package each time
    anew, would wait 30 ms for what only the platform's side needs."""
    if name == "build":
        from engine.builder.run import build

        return build
    raise AttributeError(name)
