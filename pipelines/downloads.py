"""Links to backups that work without a token, for an hour: the CLI fetches a backup so, and so can a script."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import User
from addons import backup_files
from addons.models import Transfer
from core import activity
from core.errors import Refusal

SALT, LASTS = "database-backup", timedelta(hours=1)
PIECE = 1024 * 1024


def link_to(row: Transfer, *, by: User) -> tuple[str, datetime]:
    """An address for a backup, and until when it works. By TLS: the CLI fetches from no other."""
    if not Transfer.objects.kept().filter(pk=row.pk).exists():
        raise Refusal(f"{row} can't be fetched: it has not succeeded, or was deleted.")
    activity.record(by, "made a link to", row, app=row.app)
    token = signing.dumps(str(row.pk), salt=SALT)
    return (
        f"https://{urlsplit(settings.URL).netloc}/database-backups/{row.pk}/{token}",
        timezone.now() + LASTS,
    )


@require_safe
async def fetch(request: HttpRequest, ref: UUID, token: str) -> HttpResponseBase:
    """The backup's file, for `pg_restore`."""
    try:
        good = signing.loads(token, salt=SALT, max_age=LASTS) == str(ref)
    except signing.BadSignature:
        good = False
    place = backup_files.path(ref)
    if not good or not await sync_to_async(_there)(ref, place):
        return HttpResponse(
            "This link is not valid any more. Ask for a new one.", status=404, content_type="text/plain"
        )
    headers = {
        "Content-Length": str(place.stat().st_size),
        "Content-Disposition": f'attachment; filename="{ref}.dump"',
        "Cache-Control": "private, no-store",
    }
    return StreamingHttpResponse(_pieces(place), content_type="application/octet-stream", headers=headers)


def _there(ref: UUID, place: Path) -> bool:
    return Transfer.objects.kept().filter(pk=ref).exists() and place.exists()


async def _pieces(place: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(place.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


urlpatterns = [path("database-backups/<uuid:ref>/<str:token>", fetch)]
