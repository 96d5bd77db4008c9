"""Builds on a Docker engine: slugs in containers of the stack's build image, and images from Dockerfiles."""
