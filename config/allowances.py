"""How large the body of a request may be, known before any of it is taken (promise I-46)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.conf import settings

from releases import git, slug_uploads, sources
from releases.registry import front as registry

FETCH_BYTES = 10 * 1024**2


@dataclass(frozen=True)
class Allowance:
    """How large the body of a request may be, and whether the application takes it as a file. A body over `unasked`
    bytes is taken only once `admit` has found that its sender may send it."""

    bytes: int
    as_file: bool = False
    admit: Callable[[str], bool] | None = None  # given the Authorization header

    @property
    def unasked(self) -> int:
        """How much is taken from anybody."""
        return min(settings.BODY_BYTES, self.bytes) if self.admit else self.bytes


_ADDRESSES = re.compile(
    rb"POST /(?P<push>[a-z0-9-]{1,64})\.git/git-receive-pack"
    rb"|POST /(?P<fetch>[a-z0-9-]{1,64})\.git/git-upload-pack"
    rb"|(?:POST|PUT|PATCH) /v2/(?P<image>[\w./:=-]{1,500})"
    rb"|PUT /_sources/(?P<source>[\w-]{1,100})"
    rb"|PUT /_slugs/(?P<slug>[\w-]{1,100})"
    rb"|POST /hooks/(?P<hook>[0-9a-f-]{36})/"
)


def allowance(method: bytes, uri: bytes) -> Allowance:
    """What a request may carry, judged by its first line."""
    found = _ADDRESSES.fullmatch(method + b" " + uri.partition(b"?")[0])
    if found is None:
        return Allowance(settings.BODY_BYTES)
    if found["hook"]:
        return Allowance(settings.HOOK_BYTES, as_file=True)
    if found["fetch"]:
        return Allowance(max(settings.BODY_BYTES, FETCH_BYTES), as_file=True)
    if found["image"]:
        return Allowance(settings.LAYER_BYTES, True, partial(registry.may_push, found["image"].decode()))
    if found["push"]:
        return Allowance(settings.PUSH_BYTES, True, partial(git.may_push, found["push"].decode()))
    if found["slug"]:
        return Allowance(settings.SLUG_BYTES, True, lambda _: slug_uploads.expects(found["slug"].decode()))
    return Allowance(settings.SOURCE_BYTES, True, lambda _: sources.expects(found["source"].decode()))
