"""Loads all that a conductor needs. Only the fork server imports this, with the environment of `forks.ready`."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()

import conductor.management.commands.conduct  # noqa: E402, F401
