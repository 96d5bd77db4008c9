"""Addresses of pages, each looked up once: a board asks for hundreds of them."""

from functools import lru_cache

from django.urls import reverse


@lru_cache(maxsize=16_384)
def link(page: str, *args: object) -> str:
    """The address of the page of that name, as `reverse` gives it."""
    return reverse(page, args=args)
