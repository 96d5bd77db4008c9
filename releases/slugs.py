"""The slug store of this installation."""

from functools import cache

from django.conf import settings

from engine.builder.slugs import SlugStore


@cache
def store() -> SlugStore:
    """Slugs of all apps, on `settings.DATA / "slugs"`."""
    return SlugStore(settings.DATA / "slugs")
