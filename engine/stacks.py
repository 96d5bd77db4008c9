"""Stacks: what slugs are built for, and on a Docker engine the images that stand for them."""

SLUGS = "slipway-24"  # slugs run on it, wherever dynos run
CONTAINER = "container"  # apps that bring images of their own, from a Dockerfile, heroku.yml or ready made


def build_image(run_image: str) -> str:
    """The image to build slugs in that then run on `run_image`: named the same with `-build` behind."""
    return f"{run_image}-build"
