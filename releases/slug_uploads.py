"""Slugs that programs make elsewhere: described first, then uploaded to a one-time address, then released as any other.

The archive is a tar (gzipped or not) with all files in the folder `app`, as Heroku's article "Deploying Slugs using the
Platform API" has it. It is kept as our own builds' slugs are.
"""

import re
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts.models import User
from apps import stacks
from apps.models import App
from core import activity, bodies, names, secrets
from core.errors import BuildFailed, NotFound, Refusal
from engine.builder.repack import repack
from engine.builder.spec import BuildLimits
from engine.stacks import CNB, CONTAINER
from releases import slugs, sources
from releases.models import Slug, SlugUpload

UPLOAD_HOURS = 1
PREFIX = "slug"
COMMAND_LENGTH = 8192
TYPES = 100
CHECKSUM = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


@transaction.atomic
def create(
    app: App,
    process_types: Mapping[str, str],
    *,
    by: User,
    stack: str = "",
    commit: str = "",
    message: str = "",
    buildpack: str = "",
    checksum: str = "",
) -> tuple[Slug, str]:
    """A slug of `app` that has no files yet, and the address to PUT them to, good for one upload within the hour.
    `checksum` is what the archive is to have, if anything. `Refusal` for what can't be run here."""
    stack = stack or (stacks.available()[0] if app.stack in (CONTAINER, CNB) else app.stack)
    if stack in (CONTAINER, CNB):
        raise Refusal(
            "A slug is no image. Push images to the registry, and release them by PATCH /apps/APP/formation."
        )
    if stack not in stacks.available():
        raise Refusal(f"There is no stack {stack[:40]} for slugs here. There is {stacks.available()[0]}.")
    _check(process_types)
    expected = CHECKSUM.fullmatch(checksum)
    if checksum and not expected:
        raise Refusal("checksum has to be SHA256: and the 64 hexadecimal digits of the archive's digest.")
    slug = Slug.objects.create(
        app=app,
        process_types=dict(process_types),
        buildpacks=[buildpack[:200]] if buildpack else [],
        stack=stack,
        commit=commit[:64],
        message=message[:500],
    )
    token = secrets.new_token(PREFIX)
    SlugUpload.objects.create(
        slug=slug,
        put_digest=secrets.digest(token),
        checksum=f"sha256:{expected[1].lower()}" if expected else "",
    )
    activity.record(by, "made a slug for", app, app=app, what=str(slug))
    return slug, settings.URL + reverse("slug-blob", args=[token], urlconf="releases.urls")


def demand_files(slug: Slug) -> None:
    """`Refusal` when nothing was uploaded to the slug yet."""
    if slug.is_empty:
        raise Refusal(
            "Nothing has been uploaded to this slug yet. PUT its archive to the address in blob.url first, which is good "
            f"for {UPLOAD_HOURS} hour."
        )


def expects(token: str) -> bool:
    """Whether an upload to the address with this token would be taken: asked before a large body is taken at all."""
    return _waiting(secrets.digest(token)) is not None


@csrf_exempt
@require_http_methods(["PUT"])
def blob(request: HttpRequest, token: str) -> HttpResponse:
    """The upload to a one-time address. Unknown and spent ones look the same."""
    try:
        upload = _waiting(secrets.digest(token))
        if upload is None:
            raise NotFound(
                "Couldn't find that slug, or it has been uploaded already. POST /apps/APP/slugs makes one."
            )
        _receive(upload, request)
    except Refusal as refusal:
        return HttpResponse(f"{refusal.message}\n", status=refusal.status, content_type="text/plain")
    return HttpResponse(status=200)


def _receive(upload: SlugUpload, request: HttpRequest) -> None:
    stored = sources.store_archive(bodies.file_of(request), settings.SLUG_BYTES)
    archive: Path = settings.DATA / stored.path
    try:
        if upload.checksum and upload.checksum != stored.checksum:
            raise Refusal(
                f"The archive's checksum is {stored.checksum}, and {upload.checksum} was announced."
            )
        with tempfile.TemporaryDirectory(dir=archive.parent) as work:
            made = Path(work) / "slug"
            repack(archive, made, limits=BuildLimits(slug_bytes=settings.SLUG_BYTES))
            size = made.stat().st_size
            digest = slugs.store().put(made)
    except BuildFailed as fault:
        raise Refusal(str(fault)) from fault
    finally:
        stored.remove()
    with transaction.atomic():
        taken, _ = SlugUpload.objects.filter(pk=upload.pk).delete()
        if not taken:
            raise Refusal("This slug has been uploaded already.", status=409, id="conflict")
        Slug.objects.filter(pk=upload.pk).update(digest=digest, bytes=size)


def _waiting(digest: str) -> SlugUpload | None:
    since = timezone.now() - timedelta(hours=UPLOAD_HOURS)
    return SlugUpload.objects.filter(put_digest=digest, created_at__gt=since).first()


def _check(process_types: Mapping[str, str]) -> None:
    if not process_types:
        raise Refusal('process_types says what to run: {"web": "COMMAND"}.')
    if len(process_types) > TYPES:
        raise Refusal(f"A slug has at most {TYPES} process types.")
    for type, command in process_types.items():
        if not names.PROCESS_TYPE.fullmatch(type):
            raise Refusal(f"“{type[:80]}” is no process type: letters, digits, - and _ make one, up to 128.")
        if not command.strip() or len(command) > COMMAND_LENGTH:
            raise Refusal(f"The command of {type} is empty, or longer than {COMMAND_LENGTH} characters.")
