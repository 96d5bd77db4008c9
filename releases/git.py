"""Smart HTTP: `git push`, `fetch` and `clone` at `/<app>.git`, around `git http-backend`.

Reading code and pushing it both need the right to deploy, as on Heroku. A push outlives its client: once git has the
objects, it goes on to its end although nobody listens any more.
"""

import asyncio
import base64
import binascii
import logging
import os
import re
import signal
import socket
import tempfile
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from subprocess import check_output
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from accounts import scopes
from accounts.access import demand_not_suspended
from accounts.actions import note_use
from accounts.models import ApiToken
from apps import access
from apps.models import App
from core import activity, bodies, failpoints, live, space
from core.errors import Refusal, Unauthorized
from releases import doors, pushed
from releases import repositories as repos
from releases.pushes import Push, attend, in_thread

log = logging.getLogger(__name__)

HOOKS = Path(__file__).resolve().parent / "hooks"
RECEIVE, UPLOAD = "git-receive-pack", "git-upload-pack"
PIECE = 64 * 1024
FETCH_BYTES = 64 * 1024**2  # of what a client wants and has, unpacked
LOST_SECONDS = 600  # a client that takes nothing for so long is gone
LAST_WORDS_SECONDS = 3  # for hooks and git to end by themselves when the platform stops
_busy: dict[asyncio.Task[None], Push] = {}

# Faults of old tools that real histories are full of; they harm nobody.
_TOLERATED = ("badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode", "missingEmail", "badDate")


@require_GET
async def info_refs(request: HttpRequest, name: str) -> HttpResponseBase:
    """What refs there are: the first thing git asks, and where it shows what we answer to people."""
    service = request.GET.get("service", "")
    if service not in (RECEIVE, UPLOAD) or len(request.GET) != 1:
        return _say("Use git 1.6.6 or newer: this repository is served over smart HTTP only.", 403)
    return await _serve(request, name, service, "/info/refs")


@csrf_exempt
@require_POST
async def upload_pack(request: HttpRequest, name: str) -> HttpResponseBase:
    """Fetch and clone."""
    return await _serve(request, name, UPLOAD, f"/{UPLOAD}")


@csrf_exempt
@require_POST
async def receive_pack(request: HttpRequest, name: str) -> HttpResponseBase:
    """Push."""
    return await _serve(request, name, RECEIVE, f"/{RECEIVE}")


async def let_go() -> None:
    """End every push and fetch that is under way, telling its pusher; called when the platform stops."""
    for push in _busy.values():
        if push.hook is not None:
            push.hook.cancel()
    if _busy:
        await asyncio.wait(tuple(_busy), timeout=LAST_WORDS_SECONDS)
    late = tuple(_busy)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)


async def _serve(request: HttpRequest, name: str, service: str, action: str) -> HttpResponseBase:
    try:
        push = await in_thread(_admit, request, name, scopes.WRITE if service == RECEIVE else scopes.READ)
        if service == RECEIVE and request.method == "GET":  # later git shows no words of ours
            space.demand(settings.DATA)
        body = await in_thread(_body, request, service) if request.method == "POST" else None
    except Unauthorized as refusal:
        response = _say(refusal.message, 401)
        response.headers["WWW-Authenticate"] = 'Basic realm="Slipway"'
        return response
    except Refusal as refusal:
        return _say(refusal.message, refusal.status)
    outlet = Outlet(kept=service == RECEIVE and body is not None)
    task = asyncio.create_task(_run(push, _cgi(request, push, service, action, body), body, outlet))
    _busy[task] = push
    task.add_done_callback(_busy.pop)
    return await outlet.response()


# --- who and what ---------------------------------------------------------------------------------------------------


def may_push(name: str, authorization: str) -> bool:
    """Whether the credentials in an Authorization header may push to the app called `name`: asked before a large body
    is taken at all."""
    try:
        _app_for(authorization, name, scopes.WRITE)
    except Refusal:
        return False
    return True


def _admit(request: HttpRequest, name: str, needed: str) -> Push:
    """The push or fetch of whoever presents a token that may deploy the app, and is for what is `needed`."""
    app, token = _app_for(request.headers.get("Authorization", ""), name, needed)
    note_use(token)
    repos.ensure(app)
    return Push(app, token, activity.origin())


def _app_for(authorization: str, name: str, needed: str) -> tuple[App, ApiToken]:
    """The app, for whoever presents a token that may deploy it, and whose stage lets code in by a push where that is
    `needed`. `Unauthorized` without one; foreign is absent."""
    secret = _secret(authorization)
    token = ApiToken.objects.presented(secret) if secret else None
    if token is None:
        raise Unauthorized("Sign in with any user name and an API token as the password.")
    scopes.demand(token, needed)
    if not re.fullmatch(r"[a-z0-9-]+", name) or re.fullmatch(r"[0-9a-f-]{32,36}", name):
        name = "-"  # a UUID is no address here
    app = access.app_for(token.user, name, to=access.DEPLOY)
    demand_not_suspended(app)
    if needed == scopes.WRITE:
        doors.demand_open(app, by=token.user)
    return app, token


def _secret(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _body(request: HttpRequest, service: str) -> IO[bytes]:
    """The body as a file that git can read, unpacked if it came packed."""
    limit = settings.PUSH_BYTES if service == RECEIVE else FETCH_BYTES
    given = bodies.file_of(request)
    packed = request.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
    if not packed and not isinstance(given, HttpRequest):
        return given
    spool = settings.DATA / "tmp"
    spool.mkdir(parents=True, exist_ok=True)
    file = tempfile.TemporaryFile(dir=spool)  # noqa: SIM115
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if packed else None
    try:
        while piece := given.read(PIECE):
            while piece:
                file.write(unpack.decompress(piece, PIECE) if unpack else piece)
                piece = unpack.unconsumed_tail if unpack else b""
                if file.tell() > limit:
                    raise Refusal("The request is too large.", status=413)
    except zlib.error as error:
        raise Refusal("The request is not what it says it is: gzip.", status=400) from error
    file.seek(0)
    return file


def _cgi(
    request: HttpRequest, push: Push, service: str, action: str, body: IO[bytes] | None
) -> dict[str, str]:
    """The environment of `git http-backend`: all that it knows of the request."""
    place = repos.path(push.app)
    env = repos.environment(place, _options())
    del env["GIT_DIR"]
    protocol = request.headers.get("Git-Protocol", "")
    return env | {
        "PATH_TRANSLATED": f"{place}{action}",
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": str(request.method),
        "QUERY_STRING": f"service={service}" if body is None else "",
        "CONTENT_TYPE": f"application/x-{service}-request" if body else "",
        "CONTENT_LENGTH": str(_size(body)) if body else "",
        "REMOTE_USER": str(push.token.user_id),
        "REMOTE_ADDR": push.origin.address or "",
        "HTTP_GIT_PROTOCOL": protocol if re.fullmatch(r"[a-z0-9=:]{1,100}", protocol) else "",
    }


def _options() -> list[tuple[str, str]]:
    return [
        ("core.hooksPath", str(HOOKS)),
        ("core.bigFileThreshold", "16m"),
        ("http.receivepack", "true"),
        ("http.getanyfile", "false"),
        ("pack.threads", "1"),
        ("receive.maxInputSize", str(settings.PUSH_BYTES)),
        ("receive.fsckObjects", "true"),
        *((f"receive.fsck.{fault}", "warn") for fault in _TOLERATED),
        ("receive.unpackLimit", "1"),  # a pack each, written and synced once, instead of many loose objects
        ("receive.advertiseAtomic", "false"),  # the deploying ref must not depend on others of the same push
        ("receive.autogc", "false"),  # done after the pusher has gone
        ("receive.keepAlive", "5"),
        ("uploadpack.allowFilter", "true"),
    ]


# --- running git ------------------------------------------------------------------------------------------------------


class BrokenOff(Exception):
    """git ended before its answer was whole."""


class Outlet:
    """Where git's answer goes: to the client while there is one, nowhere after that."""

    def __init__(self, *, kept: bool) -> None:
        self.kept = kept  # whether git goes on without the client
        self.gone = asyncio.Event()
        self._whole = False
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(16)  # None: broken off
        self._head: asyncio.Future[tuple[int, Mapping[str, str]]] = asyncio.get_running_loop().create_future()

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Give the client status and headers, once."""
        if not self._head.done():
            self._head.set_result((status, headers))

    async def put(self, piece: bytes) -> None:
        """Give the client a piece of the body, an empty one for its end; waits while the client is slow."""
        if self.gone.is_set():
            return
        self._whole = not piece
        try:
            await asyncio.wait_for(self._pieces.put(piece), LOST_SECONDS)
        except TimeoutError:
            self.close()

    async def response(self) -> HttpResponseBase:
        """The answer, once git has begun it."""
        try:
            status, headers = await self._head
        except asyncio.CancelledError:
            self.close()
            raise
        return StreamingHttpResponse(self._body(), status=status, headers=dict(headers))

    def break_off(self) -> None:
        """Cut the client off, unless it has had everything: git takes a short answer for a pause and waits for ever."""
        self.start(500, {"Content-Type": "text/plain"})
        if not self._whole:
            self._empty()
            self._pieces.put_nowait(None)

    def close(self) -> None:
        """The client is gone: let whoever waits in `put` go on."""
        self.gone.set()
        self._empty()

    def _empty(self) -> None:
        while not self._pieces.empty():
            self._pieces.get_nowait()

    async def _body(self) -> AsyncIterator[bytes]:
        try:
            while piece := await self._pieces.get():
                yield piece
            if piece is None:
                raise BrokenOff
        finally:
            self.close()


async def _run(push: Push, env: dict[str, str], body: IO[bytes] | None, outlet: Outlet) -> None:
    """Run git for one request, from start to end, whether its client stays or not."""
    ours, theirs = socket.socketpair()
    push.hook = asyncio.create_task(attend(push, ours))
    env["SLIPWAY_PUSH_CHANNEL"] = str(theirs.fileno())
    git = None
    try:
        git = await asyncio.create_subprocess_exec(
            _backend(),
            env=env,
            cwd=repos.path(push.app),
            stdin=body if body is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        await _answer(push, git, outlet)
        await outlet.put(b"")
        if push.accepted:
            await in_thread(repos.tidy, push.app)
    except Exception:
        log.exception("git failed for %s", push.app.pk)
    finally:
        theirs.close()
        push.hook.cancel()
        await asyncio.gather(push.hook, return_exceptions=True)
        await _end(git)
        push.hold.close()
        if body is not None:
            body.close()
        outlet.break_off()


async def _end(git: asyncio.subprocess.Process | None) -> None:
    """See that git and its children are gone."""
    if git is not None and git.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(git.pid, signal.SIGKILL)
        assert git.stdout is not None
        while await git.stdout.read(PIECE):
            pass  # its end is seen only when all of its output is
        await git.wait()


async def _answer(push: Push, git: asyncio.subprocess.Process, outlet: Outlet) -> None:
    """Pass on what git prints, except that its report on a push waits until what it reports is on the disk."""
    assert git.stdout is not None
    outlet.start(*await _head(git.stdout))
    report = Report()
    while piece := await git.stdout.read(PIECE):
        if outlet.gone.is_set() and not outlet.kept:
            return
        piece = report.hold_back(piece) if outlet.kept else piece
        if piece:
            await outlet.put(piece)
    if await git.wait() and outlet.kept and not report.held:
        raise OSError(f"git http-backend ended with {git.returncode}")
    if push.accepted:
        await in_thread(_settle, push)
        live.tell_now(push.app.topic, shown=True)
        await in_thread(_tell, push)
    push.hold.close()
    if report.held:
        await outlet.put(bytes(report.held))


def _settle(push: Push) -> None:
    """Git has synced the objects and the ref; have the folders that name them reach the disk too (I-10, I-21)."""
    place = repos.path(push.app)
    repos.sync(place / "objects" / "pack", place / "objects", place / "refs" / "heads", place / "refs", place)
    failpoints.reach("git.ref_updated")


def _tell(push: Push) -> None:
    """Tell of what the push has moved. It has succeeded, whatever becomes of the news."""
    try:
        with activity.coming(**vars(push.origin)):
            pushed.tell(push.notes)
    except Exception:
        log.exception("News of a push to %s came to nothing", push.app.pk)


class Report:
    """Tells git's report on a push, which ends its output, from the progress before it."""

    def __init__(self) -> None:
        self.held = bytearray()
        self._reporting = False
        self._rest = b""

    def hold_back(self, piece: bytes) -> bytes:
        """What of `piece` may go to the client at once; the rest is in `held` from then on."""
        data, at = self._rest + piece, 0
        while not self._reporting and len(data) - at >= 4:
            size = max(_length(data[at : at + 4]), 4)
            if len(data) - at < size:
                break
            self._reporting = data[at + 4 : at + 5] not in (b"\1", b"\2", b"\3") or (
                data[at + 4 : at + 5] == b"\1" and size > 5
            )
            at += 0 if self._reporting else size
        if self._reporting:
            self.held += data[at:]
            self._rest = b""
        else:
            self._rest = data[at:]
        return data[:at]


def _length(digits: bytes) -> int:
    try:
        return int(digits, 16)
    except ValueError:
        return 4


async def _head(stream: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers of a CGI answer."""
    text = (await stream.readuntil(b"\r\n\r\n")).decode("latin1")
    headers = dict(line.split(": ", 1) for line in text.strip().splitlines())
    return int(headers.pop("Status", "200").split(" ")[0]), headers


def _say(text: str, status: int) -> HttpResponse:
    """An answer that git shows to its user, line by line, after `remote:`."""
    response = HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
    response._has_been_logged = True  # type: ignore[attr-defined]  # every push begins with a 401, no news for the log
    return response


def _size(file: Any) -> int:
    return os.fstat(file.fileno()).st_size


@cache
def _backend() -> str:
    """Where `git http-backend` is. A hook that could not run would let every push through, so that is checked too."""
    if not os.access(HOOKS / "pre-receive", os.X_OK):
        raise RuntimeError(f"{HOOKS / 'pre-receive'} can't be executed: set its x bit.")
    return f"{check_output(['git', '--exec-path'], text=True).strip()}/git-http-backend"
