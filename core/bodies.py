"""The bodies of large requests. Our server spools them to a file and says so in the scope, so that a push of
a gigabyte is stored once and never in memory; elsewhere (a test client) Django holds the body as usual."""

from typing import IO, Any, cast

from django.http import HttpRequest

EXTENSION = "slipway.body"


def file_of(request: HttpRequest) -> IO[bytes]:
    """The body of `request` as a readable binary file, at its start. It is closed with the request."""
    scope: dict[str, Any] = getattr(request, "scope", {})
    spooled = scope.get("extensions", {}).get(EXTENSION)
    return spooled["file"] if spooled else cast(IO[bytes], request)
