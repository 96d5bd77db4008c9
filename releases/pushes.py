"""What happens between git and the builder when code is pushed: the platform's end of the pre-receive hook.

git has the new objects in quarantine and waits for the hook; the hook tells us the refs and waits for a verdict. We
check who pushes what, store the tree of the commit as a source, ask for a build, and pass its output on as it comes.
The ref moves only when the release has succeeded, so push verdict, ref and running code agree (promise I-11).
"""

import asyncio
import logging
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from channels.db import database_sync_to_async
from django.db import DatabaseError, transaction
from django.db.models import OuterRef, Subquery

from accounts.models import ApiToken
from apps import access
from apps.logs import store
from apps.models import App
from core import activity, failpoints, live
from core.errors import Conflict, Refusal, Unauthorized
from engine.logstore import harmless
from releases import actions, checkouts, doors, pushed
from releases import repositories as repos
from releases.models import OPEN, Build, Release, Source
from releases.pushed import Moved

log = logging.getLogger(__name__)
T = TypeVar("T")

ANNOUNCEMENT_BYTES = 1024**2
POLL_SECONDS = 0.5  # when no nudge comes, because another process builds
PATIENCE_SECONDS = 5  # until we say that the build waits for its turn
DEPLOYING = {ref: ref.removeprefix("refs/heads/") for ref in repos.DEPLOYING}
_threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="push")


def in_thread(call: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
    """Run `call`, which may use the database, away from the loop."""
    return database_sync_to_async(call, thread_sensitive=False, executor=_threads)(*arguments)


@dataclass
class Command:
    """One ref that the pusher wants moved."""

    old: str
    new: str
    ref: str

    @property
    def deletes(self) -> bool:
        """Whether the ref is to go."""
        return not self.new.strip("0")


@dataclass
class Push:
    """One `git push`, from the check of its token to the end of git."""

    app: App
    token: ApiToken
    origin: activity.Origin
    accepted: bool = False  # the ref may move
    notes: list[uuid.UUID] = field(default_factory=list)  # of the branches that git is to move
    build: uuid.UUID | None = None
    hook: "asyncio.Task[None] | None" = None  # who answers it
    hold: ExitStack = field(default_factory=ExitStack)  # the repository, from the hook's word to git's end


class Rejected(Exception):
    """Why the ref stays where it is, for the pusher to read."""


class Hook:
    """Our end of the socket that the hook has inherited."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def listen(self) -> bytes:
        """What the hook says first; empty when git had no reason to run it."""
        try:
            size = int.from_bytes(await self.reader.readexactly(4), "big")
            if size > ANNOUNCEMENT_BYTES:
                raise Rejected("Too many refs at once. Push fewer of them.")
            return await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def say(self, text: str) -> None:
        """Show `text`, whole lines, to the pusher."""
        data = text.encode("utf-8", "replace")
        self.writer.write(b"T" + len(data).to_bytes(4, "big") + data)
        with suppress(ConnectionError):  # a hook that is gone needs no words; the build goes on
            await self.writer.drain()

    async def end(self, status: int) -> None:
        """Let the hook end with `status`."""
        self.writer.write(b"X\0\0\0\1" + bytes([status]))
        with suppress(ConnectionError):
            await self.writer.drain()


async def attend(push: Push, channel: socket.socket) -> None:
    """Answer the hook of `push` at the other end of `channel`."""
    reader, writer = await asyncio.open_connection(sock=channel)
    hook = Hook(reader, writer)
    try:
        announced = await hook.listen()
        if announced:
            await in_thread(failpoints.reach, "git.objects_received")
            await _decide(push, hook, announced)
    except (Rejected, Refusal) as no:
        await hook.say("".join(f" !     {line}\n" for line in str(no).splitlines()))
        await in_thread(_let_be, push)
        await hook.end(1)
    except asyncio.CancelledError:
        await hook.say(_STOPPING)
        if push.build is not None and not push.accepted:
            await in_thread(_give_up, push.build)
        if not push.accepted:
            await in_thread(_let_be, push)
        await hook.end(1)  # last: git ends after this, and us with it
        raise
    except Exception:
        log.exception("A push to %s failed", push.app.pk)
        await hook.say(
            f" !     The platform failed. This is not your fault; request {push.origin.request_id}.\n"
        )
        await hook.end(1)
    finally:
        writer.close()


_STOPPING = " !     The platform is stopping, so this push is rejected.\n !     Push again once it is back.\n"


async def _decide(push: Push, hook: Hook, announced: bytes) -> None:
    commands, objects = _read(announced)
    command = await in_thread(_check, push, commands)
    push.notes = await in_thread(pushed.expect, _moves(push, commands))
    for other in commands:
        if other is not command:
            await hook.say(_not_built(other.ref))
    if command is not None:
        build, notes = await in_thread(_accept, push, command, objects)
        push.build = build
        for note in notes:
            await hook.say(note)
        await hook.say(await _follow(push.app, build, hook))
    push.accepted = True
    await hook.end(0)


def _moves(push: Push, commands: list[Command]) -> list[Moved]:
    return [
        Moved(push.app, name, "" if command.deletes else command.new, _known(command.old), push.token.user)
        for command in commands
        if (name := _branch(command.ref))
    ]


def _branch(ref: str) -> str:
    """The branch that a ref is, if it has a name that can be kept."""
    name = ref.removeprefix("refs/heads/")
    fine = name != ref and len(name) <= 255 and name.isprintable()
    return name if fine else ""


def _known(sha: str) -> str:
    return sha if sha.strip("0") else ""


def _read(announced: bytes) -> tuple[list[Command], dict[str, str]]:
    *variables, lines = announced.decode("utf-8", "surrogateescape").split("\0")
    objects = dict(variable.split("=", 1) for variable in variables)
    commands = [Command(*line.split(" ", 2)) for line in lines.splitlines()]
    return commands, {name: value for name, value in objects.items() if value}


def _not_built(ref: str) -> str:
    kind, _, name = ref.removeprefix("refs/").partition("/")
    if kind != "heads":
        return ""
    shown = harmless(name.encode("utf-8", "surrogateescape"))
    return (
        f"       Pushed to branch {shown}. Only main and master deploy, so nothing was built from it.\n"
        f"       To deploy it: git push <remote> {shown}:main, or the app's Deploy page.\n"
    )


def _check(push: Push, commands: list[Command]) -> Command | None:
    """Whether `push` may do all of `commands`; returns the one that deploys. Holds the repository from here on."""
    _check_rights(push)
    deploying = [command for command in commands if command.ref in DEPLOYING]
    if len(deploying) > 1:
        raise Rejected("Push main or master, not both at once: each of them is what the app runs.")
    for command in commands:
        if command.ref.startswith(tuple(f"{ref}/" for ref in DEPLOYING)):
            raise Rejected(
                f"{command.ref} would be in the way of the branch that deploys. Give it another name."
            )
    if not deploying:
        return None
    (command,) = deploying
    branch = DEPLOYING[command.ref]
    if command.deletes:
        raise Rejected(f"{branch} can't be deleted: it names the code that was deployed last.")
    try:
        push.hold.enter_context(repos.pushing(push.app))
    except repos.Busy:
        raise Rejected(
            "Another push to this app is on its way right now. Wait for it, fetch, and push again."
        ) from None
    if (repos.head(push.app, command.ref) or "0" * len(command.old)) != command.old:
        raise Rejected(f"{branch} has moved meanwhile. Fetch, and push again.")
    return command


def _check_rights(push: Push) -> None:
    """The rights of this very moment: the token may have been revoked and the role lost since git asked (I-31)."""
    if not ApiToken.objects.valid().filter(pk=push.token.pk).exists():
        raise Unauthorized("Your API token was revoked while you pushed.")
    push.app = access.app_for(push.token.user, str(push.app.pk), to=access.DEPLOY)
    doors.demand_open(push.app, by=push.token.user)


def _accept(push: Push, command: Command, objects: Mapping[str, str]) -> tuple[uuid.UUID, list[str]]:
    """Store the tree of the pushed commit and ask for its build; returns the build and what to tell the pusher."""
    place = repos.path(push.app)
    try:
        kind, modules = repos.kinds(place, [command.new, f"{command.new}:.gitmodules"], objects)
        if kind != "commit":
            raise Rejected(f"{DEPLOYING[command.ref]} must name a commit.")
        commit = checkouts.commit_at(place, command.new, objects)
        stored = checkouts.archive(place, command.new, objects)
    except repos.GitFailed as fault:
        raise Rejected(f"git can't read the commit: {fault}") from fault
    try:
        with transaction.atomic(), activity.coming(**vars(push.origin)):
            source = Source.objects.create(
                app=push.app,
                user=push.token.user,
                branch=DEPLOYING[command.ref],
                **vars(stored),
                **checkouts.told_by(commit),
            )
            build = actions.create_build(push.app, source, by=push.token.user)
    except BaseException:
        stored.remove()
        raise
    return build.pk, [_SUBMODULES] if modules else []


_SUBMODULES = " !     This repository has submodules. They are not fetched: their folders will be empty.\n"


def _let_be(push: Push) -> None:
    """Nothing moves; where that can't be written down, the next look at what is untold finds it out."""
    with suppress(DatabaseError):
        pushed.forget(push.notes)


def end_abandoned() -> int:
    """End the builds of pushes that died with their process, and the releases that these were to become; returns how
    many. Their pushers were told, or had to conclude, that the push came to nothing, and their commits never reached the
    repository: going on would deploy code that no ref names. A push that is alive holds its repository."""
    first = Build.objects.filter(source=OuterRef("source")).order_by("created_at").values("pk")[:1]
    pushed = Build.objects.exclude(source__branch="").filter(source__ref="", pk=Subquery(first))
    suspects = pushed.open().filter(cancel_asked=False) | pushed.filter(release__status__in=OPEN)
    ended = 0
    for build in suspects.select_related("app", "source", "release"):
        with suppress(repos.Busy, Conflict), repos.pushing(build.app):
            if repos.head(build.app, f"refs/heads/{build.source.branch}") != build.source.commit:
                _abandon(build)
                ended += 1
    return ended


def _abandon(build: Build) -> None:
    if build.release is None:
        actions.cancel_build(build, by=None)
    else:
        actions.fail_release(build.release, "The push that made it was cut off when the platform stopped.")


def _give_up(build_id: uuid.UUID) -> None:
    with suppress(Conflict):
        actions.cancel_build(Build.objects.select_related("app").get(pk=build_id), by=None)


# --- following a build -------------------------------------------------------------------------------------------


@dataclass
class Standing:
    """How far a push has come, as the rows say."""

    status: str = "pending"
    reason: str = ""
    release: Release | None = None

    @property
    def streams(self) -> list[str]:
        """The release whose output follows that of the build."""
        return [self.release.log_stream] if self.release else []


class Watch:
    """Wakes a task when there may be news: lines in a stream, or a change of the app's rows."""

    def __init__(self, app: App, stream: str) -> None:
        self.streams, self.topic = {stream}, app.topic
        self.loop, self.event, self.rows = asyncio.get_running_loop(), asyncio.Event(), True
        self.ends = [store().on_append(self._appended), live.listen(self._told)]

    async def wait(self) -> None:
        """Until there may be news, or the time for a look of our own has come."""
        try:
            await asyncio.wait_for(self.event.wait(), POLL_SECONDS)
        except TimeoutError:
            self.rows = True
        self.event.clear()

    def close(self) -> None:
        for end in self.ends:
            end()

    def _appended(self, stream: str, last: int) -> None:
        if stream in self.streams:
            self._wake()

    def _told(self, topic: str) -> None:
        if topic == self.topic:
            self.rows = True
            self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self.loop.call_soon_threadsafe(self.event.set)


async def _follow(app: App, build_id: uuid.UUID, hook: Hook) -> str:
    """Pass on what the build and its release print until both are done; returns the closing words of a success and
    raises `Rejected` otherwise."""
    started, told = time.monotonic(), False
    stream, shown = f"build/{build_id}", {f"build/{build_id}": 0}
    standing, watch = Standing(), Watch(app, stream)
    try:
        while True:
            if watch.rows:
                watch.rows = False
                standing = await in_thread(_standing, build_id)
            for name in [stream, *standing.streams]:
                watch.streams.add(name)
                shown[name] = await _pass_on(name, shown.get(name, 0), hook)
            if (verdict := _verdict(app, standing)) is not None:
                return verdict
            if standing.status == "pending" and not told and time.monotonic() - started > PATIENCE_SECONDS:
                told = True
                await hook.say("       Waiting for the builds before this one...\n")
            await watch.wait()
    finally:
        watch.close()


_STANDING = (
    *("status", "reason", "release__status", "release__reason", "release__version"),
    *("release__app__name",),
)


def _standing(build_id: uuid.UUID) -> Standing:
    build = Build.objects.select_related("release__app").only(*_STANDING).filter(pk=build_id).first()
    if build is None:
        return Standing("gone", "The app was destroyed.")
    if build.status in ("failed", "cancelled"):
        return Standing(build.status, build.reason)
    return Standing(build.status, release=build.release)


async def _pass_on(stream: str, after: int, hook: Hook) -> int:
    while entries := await in_thread(_entries, stream, after):
        await hook.say("".join(f"{harmless(entry.line.text)}\n" for entry in entries))
        after = entries[-1].offset
    return after


def _entries(stream: str, after: int) -> list[Any]:
    return store().read(stream, after=after, limit=500)


def _verdict(app: App, standing: Standing) -> str | None:
    """The closing words, None while the push is at work; `Rejected` when it came to nothing."""
    if standing.status == "gone":
        raise Rejected(standing.reason)
    if standing.status == "cancelled":
        raise Rejected("The build was cancelled. Push rejected; the app runs what it ran before.")
    if standing.status == "failed":
        raise Rejected(f"Build failed: {standing.reason}\nPush rejected; the app runs what it ran before.")
    release = standing.release
    if standing.status != "succeeded" or release is None:
        return None
    if release.status == "failed":
        raise Rejected(
            f"Release v{release.version} failed: {release.reason}\n"
            "Push rejected; the app runs what it ran before."
        )
    if release.status in ("succeeded", "expired"):
        return f"-----> Released v{release.version} — {release.app.web_url}\n"
    return None
