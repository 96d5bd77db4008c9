"""Stacks: what slugs are built for, and on a Docker engine the images that stand for them."""

import re

SLUGS = "slipway-24"  # slugs run on it, wherever dynos run
CONTAINER = "container"  # apps that bring images of their own, from a Dockerfile, heroku.yml or ready made
CNB = "cnb"  # apps whose image Cloud Native Buildpacks make, those of the builder that the operator has named
LAUNCHER = (
    "/cnb/lifecycle/launcher"  # in every such image: sets up what the buildpacks say, then runs a command
)
PROCESSES = "/cnb/process/"  # one for each process type, likewise

# What people may call an image: [host[:port]/]path[:tag][@digest].
IMAGE = re.compile(
    r"(?:[a-z0-9.-]{1,200}(?::\d{1,5})?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


def launched(command: str) -> list[str]:
    """What runs `command` in an image that buildpacks have made, as they say that it is to be run. Heroku's CLI puts the
    word launcher before what people want to run."""
    return [command] if command.startswith(PROCESSES) else [LAUNCHER, command.removeprefix("launcher ")]


def build_image(run_image: str) -> str:
    """The image to build slugs in that then run on `run_image`: named the same with `-build` behind."""
    return f"{run_image}-build"
