"""Git repositories elsewhere. git connects to the address that was checked and to no other (I-41): no redirects, no
protocols but http and https, nothing of the machine's own configuration. Credentials come as the `authorization` that
git is to show, and reach it by its environment alone: no URL, command line or message has them."""

import ipaddress
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from django.conf import settings

from core.errors import Refusal
from engine.outbound import Outbound, Target
from releases import repositories as repos

SECONDS = 300  # for all of a fetch
LOOK_SECONDS = 20  # for a look at the names of branches: somebody may wait for it
LISTED_BYTES = 8 * 1024**2  # of such names
HISTORY_SECONDS = 60.0  # for the commits before the one that is built
HISTORY = "refs/slipway/source"  # the newest commit that was fetched into an app's own repository
POLL_SECONDS = 0.1
MAX_URL = 1000
BRANCHES = "refs/heads/"
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\]")
PATH = re.compile(r"(/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)+/?")
REF = re.compile(
    r"(?!.*(\.\.|//|@\{|/\.|\.lock(/|$)))[^\x00-\x20\x7f~^:?*\[\\/.+-][^\x00-\x20\x7f~^:?*\[\\]{0,254}(?<![/.])"
)
_TOLERATED = ("badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode", "missingEmail", "badDate")


def check_url(url: str) -> str:
    """The address of a repository as it is fetched from; `Refusal` for what is none. Asks nobody: where it leads is
    checked when it is fetched."""
    given = url.strip()
    if not given.isascii() or not given.isprintable() or " " in given:
        raise _no("This is not a URL.")
    try:
        parts = urlsplit(given)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise _no("This is not a URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _no("Give a URL that starts with https://.")
    if "@" in parts.netloc:
        raise _no("Leave user name and password out of the URL: only public repositories can be fetched.")
    if parts.query or parts.fragment:
        raise _no("Leave out what follows ? or #; the branch has a field of its own.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if not HOST.fullmatch(host) or not PATH.fullmatch(parts.path) or len(given) > MAX_URL:
        raise _no("This is not the URL of a repository.")
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def check_ref(ref: str) -> str:
    """The name of a branch or tag, or a commit; `Refusal` for what git would not take for one. Empty: HEAD."""
    ref = ref.strip() or "HEAD"
    if not REF.fullmatch(ref):
        raise Refusal(
            f"“{ref[:40]}” can't be the name of a branch, a tag or a commit.",
            fields={"ref": "This can't be the name of a branch, a tag or a commit."},
        )
    return ref


@dataclass(frozen=True)
class Listed:
    """What a repository has: `refs` are {full name: commit}, `default` is the branch that HEAD names, if it is one."""

    refs: Mapping[str, str]
    default: str = ""

    @property
    def branches(self) -> dict[str, str]:
        """{branch: commit}."""
        return {
            name.removeprefix(BRANCHES): sha for name, sha in self.refs.items() if name.startswith(BRANCHES)
        }


def look(url: str, *patterns: str, authorization: str = "") -> Listed:
    """The refs of the repository at `url` that match one of `patterns` (`refs/heads/*`), and its HEAD. Nothing is
    fetched. `Refusal` and `EngineError` as for `fetch`."""
    url = check_url(url)
    target = Outbound(settings.OUTBOUND_ALLOW).check(url)
    command = ["git", "ls-remote", "--symref", "--end-of-options", url, "HEAD", *patterns]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as names:
        place = Path(folder)
        complaint = _run(command, place, target, _never, authorization, into=names, seconds=LOOK_SECONDS)
        if complaint:
            raise Refusal(_reason(url, "HEAD", complaint, bool(authorization)))
        return _listed(names)


def fetch(
    url: str, ref: str, place: Path, *, stop: Callable[[], bool], authorization: str = ""
) -> tuple[str, str] | None:
    """Fetch one commit of the repository at `url` into `place`, an empty folder that becomes a bare repository.
    Returns the commit and, if `ref` is a branch, its name; None once `stop()` is true. `authorization` is the header
    of that name for a repository that is not public. `Refusal` says why there is nothing to be had, `EngineError` that
    the host is not known."""
    url, ref = check_url(url), check_ref(ref)
    target = Outbound(settings.OUTBOUND_ALLOW).check(url)
    repos.git(place, "init", "--quiet", "--bare", "--template=", ".")
    options = ("--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules")
    command = ["git", "fetch", *options, "--end-of-options", url, ref]
    complaint = _run(command, place, target, stop, authorization)
    if complaint is None:
        return None
    if complaint:
        raise Refusal(_reason(url, ref, complaint, bool(authorization)))
    sha = repos.git(place, "rev-parse", "--verify", "FETCH_HEAD^{commit}").decode().strip()
    said = (place / "FETCH_HEAD").read_text(errors="replace").split("\t")[-1]
    return sha, ref if said.startswith("branch ") else ""


def fetch_history(
    url: str, sha: str, place: Path, *, stop: Callable[[], bool], authorization: str = ""
) -> bool:
    """Have the commit `sha` of the repository at `url`, with all that came before it, in the repository at `place`, which
    is kept; whether it is there now. It is a convenience: what takes too long or is too large is left, for good."""
    left = place / "no-history"  # of these addresses
    url = check_url(url)
    if left.exists() and url in left.read_text().splitlines():
        return False
    target = Outbound(settings.OUTBOUND_ALLOW).check(url)
    command = ["git", "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
    command += ["--end-of-options", url, f"+{sha}:{HISTORY}"]
    try:
        complaint = _run(
            command, place, target, stop, authorization, seconds=HISTORY_SECONDS, options=_DURABLE
        )
    except Refusal:
        complaint = "too much"
    if complaint:
        with left.open("a") as notes:
            notes.write(f"{url}\n")
    return complaint == ""


def _never() -> bool:
    return False


def _listed(file: IO[bytes]) -> Listed:
    file.seek(0)
    refs, default = {}, ""
    for line in file.read().decode("utf-8", "replace").splitlines():
        said, _, name = line.partition("\t")
        if said.startswith("ref: ") and name == "HEAD":
            default = said.removeprefix("ref: ").removeprefix(BRANCHES)
        elif repos.SHA.fullmatch(said):
            refs[name] = said
    return Listed(refs, default)


def _run(
    command: list[str],
    place: Path,
    target: Target,
    stop: Callable[[], bool],
    authorization: str = "",
    *,
    into: IO[bytes] | None = None,
    seconds: float = SECONDS,
    options: Sequence[tuple[str, str]] = (),
) -> str | None:
    """Run git until it ends; returns what it complains about, empty when it is content, None when it was stopped. What
    it prints is written `into` a file."""
    deadline = time.monotonic() + min(seconds, settings.BUILD_SECONDS)
    with tempfile.TemporaryFile() as errors:
        git = subprocess.Popen(
            command,
            cwd=place,
            env=repos.environment(place, [*_options(target), *options, *_shown(authorization)]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if into is None else into,
            stderr=errors,
            start_new_session=True,
        )
        try:
            while git.poll() is None:
                if stop():
                    return None
                _be_modest(place, deadline)
                if into is not None and os.fstat(into.fileno()).st_size > LISTED_BYTES:
                    raise Refusal("The repository has more branches and tags than can be looked at.")
                with suppress(subprocess.TimeoutExpired):
                    git.wait(POLL_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(git.pid, signal.SIGKILL)  # its helpers too
            git.wait()
        errors.seek(0)
        said = errors.read(64 * 1024).decode("utf-8", "replace").strip()
    return "" if git.returncode == 0 else said or f"git ended with {git.returncode}"


_DURABLE = [("core.fsync", "all")]


def _shown(authorization: str) -> list[tuple[str, str]]:
    return [("http.extraHeader", f"Authorization: {authorization}")] if authorization else []


def _options(target: Target) -> list[tuple[str, str]]:
    return [
        ("protocol.allow", "never"),
        ("protocol.http.allow", "always"),
        ("protocol.https.allow", "always"),
        ("http.followRedirects", "false"),  # for the alternates of a dumb server too
        *([("http.curloptResolve", pin)] if (pin := _pin(target)) else []),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "30"),
        ("credential.helper", ""),
        ("transfer.bundleURI", "false"),
        ("fetch.unpackLimit", "1"),
        ("fetch.fsckObjects", "true"),
        *((f"fetch.fsck.{fault}", "warn") for fault in _TOLERATED),
        ("core.bigFileThreshold", "16m"),
        ("core.fsync", "none"),  # the folder is thrown away
        ("pack.threads", "1"),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
    ]


def _pin(target: Target) -> str:
    """What makes git connect to the addresses that were checked, whatever the name resolves to by then."""
    with suppress(ValueError):
        ipaddress.ip_address(target.host)
        return ""  # an address has nothing to resolve
    addresses = ",".join(f"[{one}]" if ":" in one else one for one in target.addresses)
    return f"{target.host}:{target.port}:{addresses}"


def _be_modest(place: Path, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Refusal("The repository can't be fetched: it takes too long.")
    if _size(place) > settings.SOURCE_BYTES:
        raise Refusal(f"The repository can't be fetched: it is larger than {settings.SOURCE_BYTES:,} bytes.")


def _size(place: Path) -> int:
    total = 0
    for file in place.rglob("*"):
        with suppress(OSError):  # git has renamed it meanwhile
            total += file.stat().st_size
    return total


def _reason(url: str, ref: str, complaint: str, authorized: bool = False) -> str:
    """git's complaint in words that say what to do."""
    told = complaint.lower()
    if "couldn't find remote ref" in told or "not our ref" in told or "no such ref" in told:
        short = " A commit needs all of its 40 digits here." if repos.SHORT_SHA.fullmatch(ref) else ""
        return f"{url} has no branch or tag {ref}.{short}"
    if "could not read username" in told or "authentication failed" in told or "error: 403" in told:
        if authorized:
            return f"{url} does not take the token: it is wrong, has expired, or may not read the code."
        return f"There is no public repository at {url}: it asks for a password."
    if "not found" in told or "error: 404" in told or "not valid: is this a git repository" in told:
        return f"There is no repository at {url}."
    if "dumb http transport" in told:
        return f"{url} is served without git's own protocol (smart HTTP), which this needs."
    if re.search(r"error: 30[1278]|redirect", told):
        return f"{url} leads to another address. Give that one instead."
    return f"The repository can't be fetched: {complaint.splitlines()[-1].removeprefix('fatal: ')}"


def _no(message: str) -> Refusal:
    return Refusal(message, fields={"url": message})
