"""Builds: source in, slug out, with nothing of the platform within the build's reach."""

from engine.builder.run import build
from engine.builder.spec import BuildCancelled, BuildLimits, BuildResult, BuildSpec

__all__ = ["BuildCancelled", "BuildLimits", "BuildResult", "BuildSpec", "build"]
