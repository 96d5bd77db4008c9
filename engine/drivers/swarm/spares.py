"""Spare dynos: containers of web dynos started ahead, for the next releases of the apps released last.

Until the Swarm has made a container of a service, and that runs, is most of what a release of changed code waits for. A spare
one is a service like a dyno's, with its user, limits and walls, in which the launcher waits and nothing of the app's is yet.
A start that would get the very same container takes it: the slug is put where that looks (as hard links, which take no
room), and command and environment are handed over through a pipe that only this container and the platform see. Each is
used once, ends by itself when no release comes, and one that is in any way not as wished is thrown away for a fresh start.
"""

import contextlib
import logging
import os
import secrets
import select
import shutil
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import EngineError
from engine.drivers.swarm import describe
from engine.drivers.swarm.client import Client
from engine.drivers.swarm.describe import DYNO, SPARE, Place
from engine.spec import ProcessSpec

log = logging.getLogger(__name__)
PIPE, SLUG = "start", "slug"  # in a spare one's folder
END = "end"  # the last word, so that half of a message is not taken for all of it
SLACK_SECONDS = 60.0
SECONDS = 5.0  # a launcher that has not read all by then is none to count on
TRIES = 3  # to name a service, which somebody else may be changing


@dataclass
class Spare:
    """One that waits, or is about to."""

    token: str
    dyno: tuple[str, str]  # the app, and the name of the dyno that it may become
    frame: str  # what its service was made of
    folder: Path
    until: float  # by the monotonic clock; soon after it ends by itself
    container: str = ""  # once it runs

    @property
    def name(self) -> str:
        """That of its service."""
        return describe.spare_name(self.token)


class Spares:
    """At most `most` of them on the engine of `client`, one for a dyno, in subfolders of `folder`: on the file system of the
    slugs, where the engine sees it too, and closed to others. None at all without a folder. For any thread; what asks
    the engine takes its time."""

    def __init__(self, client: Client, *, instance: str, folder: Path | None, most: int) -> None:
        self._client, self._instance = client, instance
        self._folder, self._most = folder, most if folder else 0
        self._lock = threading.Lock()
        self._busy: set[str] = set()  # tokens of what is just being made or taken
        self._waiting: dict[tuple[str, str], Spare] = {}  # the oldest first
        self._used: dict[str, str] = {}  # {token: the start that has it}
        self._released: dict[tuple[str, str], tuple[str, str]] = {}  # {dyno: what was last started as it}
        self._closed = False

    # --- making them --------------------------------------------------------------------------------------------

    def is_due(self, spec: ProcessSpec, place: Place) -> bool:
        """Whether one should be made for the start after this one, which has come up. Only a release is followed by
        another: a dyno that starts again, as all do when the engine has, runs what it ran before."""
        if not (self._most and can_be(spec, place)):
            return False
        dyno = spec.app, spec.dyno
        runs = spec.slug, describe.env_digest([f"{key}={value}" for key, value in spec.env.items()])
        with self._lock:
            former, self._released[dyno] = self._released.get(dyno), runs
            return not self._closed and former != runs

    def make(self, spec: ProcessSpec, place: Place) -> None:
        """Start one for the next start like this one. Trouble is no error: there is just none."""
        token, dyno = secrets.token_hex(10), (spec.app, spec.dyno)
        frame = describe.frame(spec, place)
        with self._lock:
            former = self._waiting.get(dyno)
            if self._closed or not self._folder or (former and self._fits(former, frame)):
                return
            self._busy.add(token)
            until = time.monotonic() + describe.SPARE_SECONDS - SLACK_SECONDS
            spare = Spare(token, dyno, frame, self._folder / token, until)
        try:
            spare.folder.mkdir(parents=True)
            spare.folder.parent.chmod(0o700)  # so that only its container can come near what is inside
            spare.folder.chmod(0o755)
            os.mkfifo(spare.folder / PIPE)
            (spare.folder / PIPE).chmod(0o644)
            self._client.create_service(describe.spare(spec, place, token, spare.folder))
        except (EngineError, OSError) as fault:
            log.info("No spare dyno was made: %s", fault)
            self.forget(token)
        else:
            for each in self._keep(spare):
                self._end(each)

    def _keep(self, made: Spare) -> list[Spare]:
        """Have it wait; returns those that are too many, it may be among them."""
        with self._lock:
            self._busy.discard(made.token)
            if self._closed:
                return [made]
            former = self._waiting.pop(made.dyno, None)
            self._waiting[made.dyno] = made
            oldest = list(self._waiting)[: max(0, len(self._waiting) - self._most)]
            return [*([former] if former else []), *(self._waiting.pop(dyno) for dyno in oldest)]

    # --- using them ---------------------------------------------------------------------------------------------

    def take(self, spec: ProcessSpec, place: Place) -> Spare | None:
        """The one that waits for this start, which it has become when this returns; None when there is none that fits
        and lives. The caller names it (`name`) and forgets it in the end (`forget`)."""
        with self._lock:
            spare = self._waiting.pop((spec.app, spec.dyno), None)
            if spare is None:
                return None
            self._busy.add(spare.token)
        frame = describe.frame(spec, place) if can_be(spec, place) else ""
        if self._fits(spare, frame) and spare.container:
            try:
                shutil.copytree(str(place.tree), spare.folder / SLUG, symlinks=True, copy_function=os.link)
                _hand_over(spare.folder / PIPE, message(spec, place))
            except (OSError, shutil.Error) as fault:
                log.info("A spare dyno of %s was not used: %s", spec.dyno, fault)
            else:
                with self._lock:
                    self._used[spare.token] = spec.id
                    self._busy.discard(spare.token)
                return spare
        self._end(spare)
        return None

    def name(self, spare: Spare, spec: ProcessSpec, place: Place) -> None:
        """Have its service tell what it has become, so that the next driver takes it over. Without that it is ended as a
        spare one then, and the dyno starts again."""
        for _ in range(TRIES):
            try:
                return self._client.label_service(
                    spare.name, describe.labels(spec, place) | {SPARE: spare.token}
                )
            except EngineError as fault:
                log.info("A spare dyno is not named yet: %s", fault)

    def start_of(self, labels: Mapping[str, str]) -> str:
        """The id of the start that a container or service with these labels is; empty for an unused one."""
        with self._lock:
            return labels.get(DYNO) or self._used.get(labels.get(SPARE, ""), "")

    def adopt(self, labels: Mapping[str, str]) -> None:
        """A service with these labels was used by a driver before this one."""
        if SPARE in labels and DYNO in labels:
            with self._lock:
                self._used[labels[SPARE]] = labels[DYNO]

    def forget(self, token: str) -> None:
        """Nothing runs in it any more."""
        with self._lock:
            self._used.pop(token, None)
            self._busy.discard(token)
        if token and self._folder:
            shutil.rmtree(self._folder / token, ignore_errors=True)

    # --- news of them -------------------------------------------------------------------------------------------

    def heard(self, labels: Mapping[str, str], action: str, container: str) -> None:
        """The engine says that a container with these labels did `start` or `die`."""
        token, ended = labels.get(SPARE, ""), None
        with self._lock:
            for spare in self._waiting.values():
                if spare.token == token and action == "start":
                    spare.container = container
                elif spare.token == token and action == "die":
                    ended = spare
            if ended:
                del self._waiting[ended.dyno]
        if ended:
            self._end(ended)

    def look(self, containers: Collection[dict[str, Any]], services: Collection[dict[str, Any]]) -> None:
        """Compare with all containers and services of this platform: news may have been lost, and a driver before this one
        may have left some."""
        for container in containers:
            if SPARE in container["Labels"] and container["State"] != "created":
                action = "start" if container["State"] == "running" else "die"
                self.heard(container["Labels"], action, container["Id"])
        with self._lock:
            known = {*self._busy, *self._used, *(spare.token for spare in self._waiting.values())}
            there = (
                {each.name for each in self._folder.iterdir()}
                if self._folder and self._folder.is_dir()
                else ()
            )
        found = {each["Spec"]["Labels"].get(SPARE, "") for each in services} - {""}
        for token in found - known:
            self._client.remove_service(describe.spare_name(token))
        for token in {*found, *there} - known:
            self.forget(token)

    # --- the end ------------------------------------------------------------------------------------------------

    def drop(self, app: str) -> None:
        """End those of an app: it is to run nothing."""
        with self._lock:
            dynos = [dyno for dyno in self._waiting if dyno[0] == app]
            ended = [self._waiting.pop(dyno) for dyno in dynos]
            for dyno in [dyno for dyno in self._released if dyno[0] == app]:
                del self._released[dyno]
        for spare in ended:
            self._end(spare)

    def close(self) -> None:
        """End all that wait; none is made from here on."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for spare in waiting:
            self._end(spare)

    def _fits(self, spare: Spare, frame: str) -> bool:
        return spare.frame == frame and time.monotonic() <= spare.until

    def _end(self, spare: Spare) -> None:
        with contextlib.suppress(EngineError):  # the next look finds it
            self._client.remove_service(spare.name)
        self.forget(spare.token)


def can_be(spec: ProcessSpec, place: Place) -> bool:
    """Whether a dyno is of the kind that has spare ones: a web dyno whose slug this node has unpacked, and that no other
    node has to reach."""
    return spec.web and not spec.one_off and not spec.image and place.tree is not None and not place.publish


def message(spec: ProcessSpec, place: Place) -> bytes:
    """What a waiting launcher is told: how many arguments, these, the environment, and that this is all."""
    _, *arguments = describe.argv(spec)[0] or []
    words = [str(len(arguments)), *arguments, *describe.env(spec, place), END]
    return "".join(f"{word}\0" for word in words).encode(errors="surrogateescape")


def _hand_over(pipe: Path, text: bytes, seconds: float = SECONDS) -> None:
    """Write it all to who waits at `pipe`; `OSError` when nobody does, or does not read on."""
    fd = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        deadline, ready = time.monotonic() + seconds, select.poll()
        ready.register(fd, select.POLLOUT)
        while text:
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError("its launcher does not read")
            text = text[os.write(fd, text) :]
    finally:
        os.close(fd)
    pipe.unlink()
