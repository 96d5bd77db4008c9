"""The bare git repository of each app: made on first use, asked about commits, removed with the app."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from django.conf import settings

from apps.models import App
from releases.commits import Commit, clean, moment, read_commit
from releases.models import Build

__all__ = [
    "Commit",
    "ahead",
    "branches",
    "commits_between",
    "ensure",
    "find",
    "path",
    "remove",
    "unbuilt_heads",
]

DEPLOYING = ("refs/heads/main", "refs/heads/master")
SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
STALE_SECONDS = 24 * 3600
_PLAIN_BRANCH = re.compile(r"refs/heads/[A-Za-z0-9][A-Za-z0-9._/-]*")
SHORT_SHA = re.compile(r"[0-9a-f]{4,64}")
MOST_FILES = 10_000  # that a change may have to be told of
PACKS = 50  # in a repository, from which on git packs them into one
LOOSE = 26  # objects in one of 256 folders, from which on git packs what lies loose: 6,700 in all
SECONDS = 30  # for a question; reading and writing packs is not one

# The tree is built as it was committed: attributes that would leave files out of an archive do not count.
_ATTRIBUTES = "* -export-ignore -export-subst\n"


class GitFailed(Exception):
    """git could not answer; the text is its own."""


class Busy(Exception):
    """Another push holds the repository."""


@dataclass(frozen=True)
class Branch:
    """A branch of an app's repository, and the commit it names."""

    name: str
    commit: Commit


def root() -> Path:
    """The folder of all repositories."""
    return settings.DATA / "repos"


def path(app: App | uuid.UUID) -> Path:
    """Where the repository of `app` is, whether it exists or not. Renaming an app moves nothing."""
    return root() / f"{app.pk if isinstance(app, App) else app}.git"


def ensure(app: App) -> Path:
    """The repository of `app`, made if it has none. Safe to call from many places at once."""
    place = path(app)
    if (place / "HEAD").exists():
        return place
    root().mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Path(tempfile.mkdtemp(dir=root(), prefix=".new-"))
    try:
        make(made)
        with suppress(OSError):  # another was faster: theirs is as good
            made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    sync(root())
    return place


def make(place: Path) -> None:
    """A bare repository without commits in the folder `place`, which is there and empty."""
    git(place, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", ".")
    (place / "info").mkdir(exist_ok=True)
    (place / "info" / "attributes").write_text(_ATTRIBUTES)
    sync(place, place / "info" / "attributes", place / "info")


def remove(app_id: uuid.UUID) -> None:
    """Delete the repository of a destroyed app; nothing happens when it has none."""
    gone = root() / f".gone-{app_id}"
    with suppress(FileNotFoundError):
        path(app_id).rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def pushing(app: App) -> Iterator[None]:
    """Hold the repository for one push from the check of its refs until they have moved; `Busy` when another push
    holds it. The lock dies with its process."""
    with (ensure(app) / "push.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy from error
        yield


def head(app: App, ref: str) -> str | None:
    """The commit that `ref` names, None when there is none."""
    if sha := _loose(path(app), ref):
        return sha
    with suppress(GitFailed):
        return git(path(app), "rev-parse", "--verify", "--quiet", "--end-of-options", ref).decode().strip()
    return None


def _loose(place: Path, ref: str) -> str | None:
    """What the file of a branch says, which git puts there as a whole and believes before all else. No process is started
    for that. None where there is no such file, as for a branch that is packed or does not exist."""
    if not _PLAIN_BRANCH.fullmatch(ref) or ".." in ref:
        return None
    try:
        text = (place / ref).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if SHA.fullmatch(text) else None


def kinds(place: Path, names: Sequence[str], extra: Mapping[str, str] | None = None) -> list[str]:
    """What each of these objects is (`commit`, `blob` …), empty where there is none, by one question to git. A name has no
    line break. `GitFailed` when git can't answer."""
    asked = "".join(f"{name}\n" for name in names)
    told = git(place, "cat-file", "--batch-check=%(objecttype)", extra=extra, told=asked.encode())
    return ["" if " " in line else line for line in told.decode("utf-8", "replace").splitlines()]


def branches(app: App, *, limit: int = 50) -> list[Branch]:
    """The branches of the app's repository, the one with the newest commit first, `limit` at most."""
    if not path(app).exists():
        return []
    fields = "%00".join(
        f"%({field})"
        for field in (
            "refname:lstrip=2",
            "objectname",
            "authorname",
            "authoremail:trim",
            "committerdate:unix",
            "contents:subject",
        )
    )
    options = ("--sort=-committerdate", f"--count={limit}", f"--format={fields}")
    try:
        output = git(path(app), "for-each-ref", *options, "refs/heads/").decode("utf-8", "replace")
    except GitFailed:
        return []
    rows = [line.split("\0", 5) for line in output.split("\n") if line.count("\0") == 5]
    return [
        Branch(name, Commit(sha, clean(who), clean(mail), moment(at), clean(text)))
        for name, sha, who, mail, at, text in rows
    ]


def find(app: App, ref: str) -> tuple[Commit, str] | None:
    """The commit that a person means by `ref` (a branch, a tag, or a commit by at least four of its digits), and the
    name of the branch if it is one. None when the app's repository has no such thing."""
    if not ref or "\0" in ref or not path(app).exists():
        return None
    candidates = [(f"refs/heads/{ref}", ref), (f"refs/tags/{ref}", "")]
    candidates += [(ref.lower(), "")] if SHORT_SHA.fullmatch(ref.lower()) else []
    for name, branch in candidates:
        sha = head(app, name + "^{commit}")
        if sha:
            return read_commit(sha, git(path(app), "cat-file", "commit", sha)), branch
    return None


def commits_between(app: App, base: str | None, head: str, *, limit: int = 50) -> list[Commit]:
    """The commits that `head` has and `base` has not, newest first, `limit` at most. Empty when one is unknown."""
    if not SHA.fullmatch(head) or (base and not SHA.fullmatch(base)):
        return []
    span = f"{base}..{head}" if base else head
    fields = "--format=%H%n%an%n%ae%n%ct%n%s"
    try:
        output = git(path(app), "log", "-z", fields, f"--max-count={limit}", "--end-of-options", span, "--")
    except GitFailed:
        return []
    return [_commit(record) for record in output.decode("utf-8", "replace").split("\0") if record]


def files_between(app: App, base: str, head: str) -> frozenset[str] | None:
    """The names of the files that differ between two commits; None when one of them is unknown, or there are more than
    can be told."""
    if not SHA.fullmatch(base) or not SHA.fullmatch(head):
        return None
    try:
        output = git(
            path(app), "diff", "--name-only", "--no-renames", "-z", "--end-of-options", base, head, "--"
        )
    except GitFailed:
        return None
    names = output.decode("utf-8", "replace").split("\0")[:-1]
    return frozenset(names) if len(names) <= MOST_FILES else None


def ahead(app: App | uuid.UUID, base: str, head: str) -> int | None:
    """How many commits `head` has that `base` has not; None when one of them is unknown. Cached for good, since both
    are immutable."""
    if not SHA.fullmatch(base) or not SHA.fullmatch(head):
        return None
    if base == head:
        return 0
    try:
        return _ahead(app.pk if isinstance(app, App) else app, base, head)
    except GitFailed:
        return None


@lru_cache(maxsize=10_000)
def _ahead(app_id: uuid.UUID, base: str, head: str) -> int:
    return int(git(path(app_id), "rev-list", "--count", "--end-of-options", f"{base}..{head}", "--"))


def unbuilt_heads() -> list[tuple[App, str, str]]:
    """App, ref and commit of every deploying branch whose commit has no build that succeeded. Normally none
    (promises I-10, I-11)."""
    found = []
    for app in App.objects.alive():
        if not path(app).exists():
            continue
        for ref in DEPLOYING:
            sha = head(app, ref)
            if sha and not Build.objects.filter(app=app, source__commit=sha, status="succeeded").exists():
                found.append((app, ref, sha))
    return found


def tidy(app: App) -> None:
    """Pack the repository once it has gathered many packs. Refs are left alone, so a push may go on meanwhile."""
    options = ["-c", "gc.autoDetach=false", "-c", "gc.packRefs=false"]
    with suppress(GitFailed):
        if _has_gathered(path(app)):
            git(path(app), *options, "gc", "--auto", "--quiet", seconds=3600)
    for left in (path(app) / "objects").glob("tmp_objdir-incoming-*"):  # of pushes that were killed
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _has_gathered(place: Path) -> bool:
    """Whether git may find something to pack, by the signs that it goes by itself: looked at before it is started."""
    packs = sum(1 for _ in (place / "objects" / "pack").glob("*.pack"))
    loose = sum(1 for _ in (place / "objects" / "17").glob("*"))
    return packs >= PACKS or loose >= LOOSE


def git(
    repository: Path,
    *arguments: str,
    extra: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
    told: bytes = b"",
) -> bytes:
    """What git prints when it reads `told`; `GitFailed` with what it complains about when it fails or takes longer than `seconds`."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=repository,
            env={**environment(repository), **(extra or {})},
            input=told or None,
            stdin=None if told else subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitFailed(str(error)) from error
    if done.returncode:
        raise GitFailed(done.stderr.decode("utf-8", "replace").strip())
    return done.stdout


def environment(repository: Path, options: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """The whole environment of a git of ours: no user's or machine's configuration, only `options`."""
    settled = [("safe.directory", str(repository)), ("core.fsync", "all"), *options]
    found = {
        "PATH": f"{_python_folder()}:/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": str(repository),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_DIR": str(repository),
        "GIT_CONFIG_COUNT": str(len(settled)),
    }
    for number, (key, value) in enumerate(settled):
        found[f"GIT_CONFIG_KEY_{number}"], found[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return found


def sync(*places: Path) -> None:
    """Have what was written to files, and which names folders hold, reach the disk."""
    for place in places:
        if place.exists():
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


@cache
def _python_folder() -> Path:
    """Where `python3` is found by the hook: ours, since the first of PATH may be a slow wrapper."""
    return Path(sys.executable).parent


def _commit(record: str) -> Commit:
    sha, author, email, at, message = record.lstrip("\n").split("\n", 4)
    return Commit(sha, clean(author), clean(email), moment(at), clean(message))
