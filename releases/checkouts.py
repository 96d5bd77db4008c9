"""The files of a commit as the archive of a source: out of the app's own repository, or of one that is fetched."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings

from core.errors import BuildFailed, EngineError, Refusal
from releases import remotes, sources
from releases import repositories as repos
from releases.commits import Commit, read_commit
from releases.models import Source

Lender = Callable[[Source], str]
_lenders: list[Lender] = []


def lend(lender: Lender) -> None:
    """Have `lender` asked what git is to show where `source` is fetched from; it answers with an Authorization header,
    empty for none."""
    _lenders.append(lender)


def fill(source: Source, *, say: Callable[[str], None], stop: Callable[[], bool]) -> None:
    """Get the archive of a source that names a commit or a ref, `say`ing a line about each step. `BuildFailed` when
    it can't be had; returns early, with nothing done, once `stop()` is true. It may be done twice."""
    try:
        if source.repository:
            _fetch(source, say, stop)
        elif source.commit and source.app is not None:
            _keep(source, repos.path(source.origin or source.app), source.commit)
    except (Refusal, EngineError) as no:
        raise BuildFailed(str(no)) from no
    except repos.GitFailed as fault:
        raise BuildFailed(f"git can't read the files of {source.short}: {fault}") from fault


def _fetch(source: Source, say: Callable[[str], None], stop: Callable[[], bool]) -> None:
    spool = settings.DATA / "work"  # what an interruption leaves there is cleared at the next start
    spool.mkdir(parents=True, exist_ok=True)
    say(f"-----> Fetching {source.ref} from {source.repository}")
    with tempfile.TemporaryDirectory(dir=spool, prefix="fetch-") as folder:
        authorization = next((shown for lender in _lenders if (shown := lender(source))), "")
        found = remotes.fetch(
            source.repository,
            source.commit or source.ref,
            Path(folder),
            stop=stop,
            authorization=authorization,
        )
        if found is None:
            return
        sha, branch = found
        commit = _keep(source, Path(folder), sha, branch=source.branch or branch)
    say(f"       {commit.short} {commit.message}".rstrip())
    _keep_history(source, sha, authorization, stop)


def _keep_history(source: Source, sha: str, authorization: str, stop: Callable[[], bool]) -> None:
    """Have the commits before it in the app's own repository, so that what changes from one release to the next can be
    told. An app of the platform's own making is not promoted: nobody asks that of it."""
    app = source.app
    if app is None or app.ephemeral or repos.head(app, f"{sha}^{{commit}}"):
        return
    with suppress(Refusal, EngineError, repos.GitFailed, OSError):
        remotes.fetch_history(
            source.repository, sha, repos.ensure(app), stop=stop, authorization=authorization
        )


def _keep(source: Source, place: Path, sha: str, **also: Any) -> Commit:
    """Store the archive and note it in the row, unless somebody was faster."""
    commit = commit_at(place, sha)
    stored = archive(place, f"{sha}:{source.folder}" if source.folder else sha)
    values = {**vars(stored), **told_by(commit), **also}
    if Source.objects.filter(pk=source.pk, path=source.path).update(**values):
        for name, value in values.items():
            setattr(source, name, value)
    else:
        stored.remove()
        source.refresh_from_db()
    return commit


def told_by(commit: Commit) -> dict[str, Any]:
    """What the row of a source says of its commit."""
    return {
        "commit": commit.sha,
        "message": commit.message[:500],
        "author": commit.author[:200],
        "author_email": commit.author_email[:254],
        "committed_at": commit.at,
    }


def commit_at(place: Path, sha: str, extra: Mapping[str, str] | None = None) -> Commit:
    """The commit `sha` of the repository at `place`; `GitFailed` when it has none. `extra` is for git's environment."""
    return read_commit(sha, repos.git(place, "cat-file", "commit", sha, extra=extra))


def archive(place: Path, sha: str, extra: Mapping[str, str] | None = None) -> sources.Stored:
    """The files of the commit `sha`, or of a folder in it (`sha:folder`), stored as a tar; `GitFailed` when git can't
    read them, `sources.TooLarge` when they are too many."""
    command = ["git", "archive", "--format=tar", sha]
    env = {**repos.environment(place, [("tar.umask", "0022")]), **(extra or {})}
    with subprocess.Popen(
        command, cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as git:
        assert git.stdout is not None and git.stderr is not None
        try:
            stored = sources.store_archive(git.stdout, settings.SOURCE_BYTES)
        except BaseException:
            git.kill()
            raise
        complaint = git.stderr.read().decode("utf-8", "replace").strip()
    if git.returncode:
        stored.remove()
        raise repos.GitFailed(complaint)
    return stored
