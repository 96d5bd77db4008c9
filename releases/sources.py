"""Archives of source code: stored once, checked, and handed in and out by one-time addresses.

A client asks for a source and gets two addresses: it PUTs a tar there (gzipped or not, without credentials, since the
address itself is the secret) and passes the other one to a build.
"""

import asyncio
import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, BinaryIO, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts.models import User
from apps.models import App
from core import bodies, secrets
from core.errors import EngineError, NotFound, Refusal
from engine.outbound import Outbound
from releases.models import Source
from releases.repositories import sync

PIECE = 256 * 1024
UPLOAD_HOURS = 1
FETCH_SECONDS = 20  # the client waits for it
PREFIX = "src"


class TooLarge(Refusal):
    """More bytes than a source may have."""

    id = "too_large"
    status = 413


@dataclass(frozen=True)
class Stored:
    """An archive that is safe on the disk."""

    path: str  # below the data folder
    checksum: str  # "sha256:…"
    bytes: int

    def remove(self) -> None:
        """Delete it: nothing will name it."""
        (settings.DATA / self.path).unlink(missing_ok=True)


def create_source(user: User, *, at: str = "") -> tuple[Source, str, str]:
    """A source to upload to: returns it with the address to PUT to, good for one upload within the hour, and the one
    to GET from. `at` is where the client knows the platform (`https://localhost:8000`), settings.URL unless given."""
    put, get = secrets.new_token(PREFIX), secrets.new_token(PREFIX)
    source = Source.objects.create(user=user, put_digest=secrets.digest(put), get_digest=secrets.digest(get))
    return source, _address(put, at), _address(get, at)


def store_archive(stream: IO[bytes], limit: int) -> Stored:
    """Write everything that `stream` has to a file of its own, on the disk when this returns. `TooLarge` past `limit`
    bytes; `Refusal` when there is nothing."""
    folder = _folder("sources")
    place = folder / str(uuid.uuid4())
    part = place.with_suffix(".part")
    try:
        checksum, size = _copy(stream, part, limit)
        part.rename(place)
        sync(folder)
    finally:
        part.unlink(missing_ok=True)
    return Stored(str(place.relative_to(settings.DATA)), f"sha256:{checksum}", size)


def receive(source: Source, stream: IO[bytes]) -> None:
    """Take the one upload of `source`."""
    stored = store_archive(stream, settings.SOURCE_BYTES)
    with transaction.atomic():
        taken = Source.objects.filter(pk=source.pk, path="").update(
            path=stored.path, checksum=stored.checksum, bytes=stored.bytes, put_digest=""
        )
    if not taken:
        stored.remove()
        raise Refusal("This source has been uploaded already.", status=409, id="conflict")


def create_of_repository(repository: str, ref: str, *, user: User) -> tuple[Source, str]:
    """A source that builds take from the branch, tag or commit `ref` of the public `repository` themselves, and the address
    to name it by. There is nothing to GET at it."""
    get = secrets.new_token(PREFIX)
    source = Source.objects.create(
        user=user, repository=repository, ref=ref, branch=ref[:255], get_digest=secrets.digest(get)
    )
    return source, _address(get, "")


def of_address(url: str, *, user: User) -> Source | None:
    """The source that one of our own addresses names, None for a foreign address. `Refusal` when it is ours, but not
    `user`'s, or when nothing was uploaded to it."""
    token = _token_in(url)
    if token is None:
        return None
    source = Source.objects.filter(get_digest=secrets.digest(token), user=user).first()
    if source is None:
        raise Refusal("This source does not exist, or is someone else's. Create one with POST /sources.")
    if not source.path and not source.repository:
        raise Refusal("Nothing has been uploaded to this source yet. PUT the archive to its put_url first.")
    return source


def fetch(url: str, *, user: User) -> Source:
    """The source at `url`: one of ours, or an archive on another server, which is fetched at once through the one
    door for requests that users cause (I-41). `Refusal` when there is none to be had within `FETCH_SECONDS`."""
    source = of_address(url, user=user)
    if source is not None:
        return source
    with tempfile.TemporaryFile(dir=_folder("tmp")) as file:
        try:
            Outbound(settings.OUTBOUND_ALLOW).download(
                url, cast(BinaryIO, file), max_bytes=settings.SOURCE_BYTES, seconds=FETCH_SECONDS
            )
        except EngineError as fault:
            raise Refusal(f"The source can't be fetched: {fault}") from fault
        file.seek(0)
        stored = store_archive(file, settings.SOURCE_BYTES)
    return Source.objects.create(user=user, path=stored.path, checksum=stored.checksum, bytes=stored.bytes)


@transaction.atomic
def adopt(source: Source, app: App, *, version: str = "", checksum: str = "") -> Source:
    """The row of `source` as the source of a build of `app`. One upload can be built on several apps, so a source
    that is another app's already is copied; the archive is shared."""
    if checksum and checksum.removeprefix("SHA256:").removeprefix("sha256:") != source.checksum[7:]:
        raise Refusal("The checksum does not match the archive that was uploaded.")
    if not Source.objects.filter(Q(app=None) | Q(app=app), pk=source.pk).update(app=app):
        source.pk, source.put_digest, source.get_digest, source._state.adding = uuid.uuid4(), "", "", True
    source.app, source.version = app, version[:200]
    source.save()
    return source


@csrf_exempt
@require_http_methods(["PUT", "GET", "HEAD"])
def blob(request: HttpRequest, token: str) -> HttpResponseBase:
    """The upload to, or the download from, a one-time address. Unknown, spent and foreign ones look the same."""
    digest = secrets.digest(token)
    try:
        if request.method == "PUT":
            return _take(digest, request)
        return _give(digest)
    except Refusal as refusal:
        return HttpResponse(f"{refusal.message}\n", status=refusal.status, content_type="text/plain")


def sweep(older_than: timedelta = timedelta(days=1)) -> int:
    """Delete archives that no row names and sources that were never uploaded; returns how many archives went."""
    limit = timezone.now() - older_than
    Source.objects.filter(path="", app=None, created_at__lt=limit).delete()
    known = set(Source.objects.exclude(path="").values_list("path", flat=True))
    gone = 0
    for file in _files():
        old = file.stat().st_mtime < time.time() - older_than.total_seconds()
        if old and str(file.relative_to(settings.DATA)) not in known:
            file.unlink(missing_ok=True)
            gone += 1
    return gone


def expects(token: str) -> bool:
    """Whether an upload to the address with this token would be taken: asked before a large body is taken at all."""
    return _waiting(secrets.digest(token)) is not None


def _waiting(digest: str) -> Source | None:
    limit = timezone.now() - timedelta(hours=UPLOAD_HOURS)
    return Source.objects.filter(put_digest=digest, created_at__gt=limit).exclude(put_digest="").first()


def _take(digest: str, request: HttpRequest) -> HttpResponse:
    source = _waiting(digest)
    if source is None:
        raise NotFound("Couldn't find that source.")
    receive(source, bodies.file_of(request))
    return HttpResponse(status=200)


def _give(digest: str) -> StreamingHttpResponse:
    source = Source.objects.filter(get_digest=digest).exclude(path="").exclude(get_digest="").first()
    if source is None:
        raise NotFound("Couldn't find that source.")
    headers = {"Content-Length": str(source.bytes)}
    return StreamingHttpResponse(
        _pieces(settings.DATA / source.path), content_type="application/gzip", headers=headers
    )


async def _pieces(place: Path) -> AsyncIterator[bytes]:
    """A file piece by piece; Django would gather what a plain iterator gives in memory."""
    with await asyncio.to_thread(place.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


def _copy(stream: IO[bytes], place: Path, limit: int) -> tuple[str, int]:
    checksum, size = hashlib.sha256(), 0
    with place.open("wb") as file:
        while piece := stream.read(PIECE):
            size += len(piece)
            if size > limit:
                raise TooLarge(f"The source is larger than {limit:,} bytes, the most that is taken here.")
            checksum.update(piece)
            file.write(piece)
        if not size:
            raise Refusal("The source is empty.")
        file.flush()
        os.fsync(file.fileno())
    return checksum.hexdigest(), size


def _address(token: str, at: str) -> str:
    return (at.rstrip("/") or settings.URL) + reverse("source-blob", args=[token], urlconf="releases.urls")


def _token_in(url: str) -> str | None:
    given = urlsplit(url)
    head, _, token = given.path.rpartition("/")
    ours = given.scheme in ("http", "https") and given.hostname in settings.ALLOWED_HOSTS
    return token if ours and head == "/_sources" and token.startswith(PREFIX + "-") else None


def _folder(name: str) -> Path:
    folder: Path = settings.DATA / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _files() -> Iterator[Path]:
    folder = settings.DATA / "sources"
    return folder.iterdir() if folder.is_dir() else iter(())
