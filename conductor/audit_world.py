"""The auditor's eyes outside the database: slugs, repositories, logs, processes, folders."""

import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from apps.logs import store as logs
from apps.models import App, Dyno
from conductor import status, wishes
from conductor.audit import Check, Violation
from conductor.builds import checksum
from releases import repositories
from releases.models import Build, Release
from releases.slugs import store as slugs

MINUTE = timedelta(seconds=60)
CHUNK = 1000


def archives() -> Iterator[Violation]:
    """I-14: what may be run is in the store, and its bytes are what its name says."""
    runnable = Release.objects.filter(status="succeeded", slug__isnull=False, slug__expired_at__isnull=True)
    runnable = runnable.filter(slug__image="")  # the engine itself knows images by what is in them
    for digest in set(runnable.values_list("slug__digest", flat=True)):
        if not slugs().has(digest):
            yield Violation("I-14", f"slug {digest}", "it is not in the store")
        elif "sha256:" + checksum(slugs().path(digest)) != digest:
            yield Violation("I-14", f"slug {digest}", "its bytes are not those of its digest")


def refs() -> Iterator[Violation]:
    """I-10, I-11: each deploying branch is at a commit that was built and released."""
    for app, ref, sha in repositories.unbuilt_heads():
        found = Build.objects.filter(app=app, source__commit=sha).values_list("status", flat=True)
        promise = "I-11" if found else "I-10"
        yield Violation(promise, f"app {app}", f"{ref} is {sha[:7]}, whose builds are {list(found)}")


def streams() -> Iterator[Violation]:
    """I-22: numbers without a gap; I-15: the output of what has ended has ended."""
    for app in App.objects.all():
        yield from _gaps(app.log_stream)
    ended = timezone.now() - MINUTE
    for model in (Build, Release):
        for row in model.objects.filter(finished_at__isnull=False):
            yield from _gaps(row.log_stream)
            recent = row.finished_at > timezone.now() - timedelta(hours=1)
            if recent and row.finished_at < ended and status.read() and not logs().ended(row.log_stream):
                yield Violation("I-15", row.log_stream, "its output has not ended")


def _gaps(stream: str) -> Iterator[Violation]:
    expected = logs().first(stream)
    for first, records in logs().blocks(stream, after=expected - 1):
        if first != expected:
            yield Violation("I-22", stream, f"line {first} follows line {expected - 1}")
        expected = first + len(records)


DISK: tuple[Check, ...] = (archives, refs, streams)


def processes() -> Iterator[Violation]:
    """I-19: dynos equal the formation; no process and no folder of anything else is left."""
    now = status.read()
    known = {dyno["id"]: dyno for found in (now["dynos"] if now else {}).values() for dyno in found}
    for id in sorted(_marked() - set(known)):
        yield Violation("I-19", f"process of {id}", "nobody keeps it")
    yield from _folders(now, set(known))
    if now is not None:
        for view in wishes.views().values():
            yield from _formation(view, known)
            yield from _environments(view, known)


def _formation(view: wishes.View, known: dict[str, dict[str, Any]]) -> Iterator[Violation]:
    app = view.app
    if Release.objects.filter(app=app, status__in=["pending", "running"]).exists():
        return
    version = view.current.version if view.current else 0
    wanted = {f"{type}.{number}" for type, number in view.wanted(view.current)}
    rows = {row.name: row for row in view.dynos if row.release_version == version}
    resting = {name for name, row in rows.items() if row.state == Dyno.State.CRASHED or view.sleeps(row)}
    ids = [str(row.pk) for row in view.dynos]
    running = [
        dyno["dyno"]
        for id, dyno in known.items()
        if id.split(".")[0] in ids and dyno["state"] in ("starting", "up")
    ]
    for name in sorted(wanted - set(running) - resting):
        yield Violation("I-19", f"app {app}", f"{name} does not run")
    for name in sorted(name for name in running if name not in wanted or running.count(name) > 1):
        yield Violation("I-19", f"app {app}", f"{name} runs too often")


def _environments(view: wishes.View, known: dict[str, dict[str, Any]]) -> Iterator[Violation]:
    """I-09: a dyno has every config var of its release, as far as its environment can be read."""
    if view.current is None or view.current.slug is None:
        return
    ids = {row.incarnation: row for row in view.dynos if row.release_version == view.current.version}
    for id, row in ids.items():
        environment = _environ(known[id]["pid"]) if id in known and known[id]["pid"] else {}
        if environment and (missing := set(view.current.config) - set(environment) - {"PORT"}):
            yield Violation("I-09", f"dyno {row} of {view.app}", f"it lacks {', '.join(sorted(missing))}")


def _folders(now: dict[str, Any] | None, ids: set[str]) -> Iterator[Violation]:
    """Folders of builds and dynos that are not at work."""
    building = {job["id"] for job in now["jobs"]} if now else set()
    for folder in _names(settings.DATA / "work") - building:
        yield Violation("I-19", f"work folder {folder}", "no build is at work in it")
    if now:
        for folder in _names(settings.DATA / "dynos" / "dynos") - ids:
            yield Violation("I-19", f"dyno folder {folder}", "its dyno does not run")


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _marked() -> set[str]:
    """The ids of all dynos that processes on this machine say they are of, for this data folder."""
    root = (settings.DATA / "dynos").resolve()
    ending = "-" + hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        environment = _environ(int(entry.name))
        if environment.get("SLIPWAY_INSTANCE", "").endswith(ending):
            found.add(environment.get("SLIPWAY_DYNO", "?"))
    return found


def _environ(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    return dict(item.split("=", 1) for item in text.split("\0") if "=" in item)
