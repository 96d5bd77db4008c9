"""Which buildpacks a build uses: names of ours, of the operator's, or URLs. Nothing is fetched here but tarballs; what
needs git is fetched by the child, from the address that was checked here."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urldefrag

from core.errors import BuildFailed, EngineError, Refusal
from engine.builder.builtin import BUILTINS
from engine.outbound import Outbound

ALIASES = {f"heroku/{name}": name for name in BUILTINS}
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}(?:/[a-z0-9][a-z0-9._-]{0,60})?")
REF = re.compile(r"(?!-)[\w./-]{1,200}", re.ASCII)
TARBALL = re.compile(r"\.(?:tgz|tar|tar\.gz|tar\.zst)$")
TARBALL_BYTES = 100 * 1024 * 1024
FETCH_SECONDS = 120
# Where Heroku's own buildpacks and its registry of others' are.
HEROKU = "https://github.com/heroku/heroku-buildpack-{}.git"
REGISTRY = "https://buildpack-registry.s3.amazonaws.com/buildpacks/{}.tgz"


class Finder:
    """Turns what the app asks for into what the child is told."""

    def __init__(self, outbound: Outbound, folder: Path | None, work: Path, stop: Callable[[], bool]) -> None:
        self.outbound, self.folder, self.work, self.stop = outbound, folder, work, stop

    def find(self, asked: Sequence[str]) -> list[dict[str, str]]:
        """One entry per buildpack, in order; `BuildFailed` for one that cannot be had."""
        return [self._one(name.strip(), number) for number, name in enumerate(asked)]

    def _one(self, asked: str, number: int) -> dict[str, str]:
        name = ALIASES.get(asked, asked)
        if name in BUILTINS:
            return {"name": name}
        local = self._operators(name)
        if local is not None:
            return {"name": name, "folder": str(local)}
        url, ref = urldefrag(_url(name))
        if ref and not REF.fullmatch(ref):
            raise BuildFailed(f"The buildpack {asked} has a branch or tag name that is not one.")
        try:
            if TARBALL.search(url.partition("?")[0]):
                return {"name": asked, "archive": self._download(url, number)}
            return {"name": asked, "git": url, "ref": ref or "HEAD", "pin": self._pin(url)}
        except Refusal as refusal:
            raise BuildFailed(f"The buildpack {asked} was not fetched: {refusal.message}") from refusal
        except EngineError as fault:
            raise BuildFailed(f"The buildpack {asked} was not fetched: {fault}") from fault

    def _operators(self, name: str) -> Path | None:
        """A buildpack that the operator has put into the buildpacks folder."""
        if self.folder is None or not NAME.fullmatch(name):
            return None
        found = self.folder / name
        return found if (found / "bin" / "compile").is_file() else None

    def _download(self, url: str, number: int) -> str:
        path = self.work / f"buildpack-{number}.tar"
        with path.open("wb") as file:
            self.outbound.download(url, file, max_bytes=TARBALL_BYTES, seconds=FETCH_SECONDS, stop=self.stop)
        return str(path)

    def _pin(self, url: str) -> str:
        """What makes git connect to the address that was checked and to no other."""
        target = self.outbound.check(url, schemes=("https",))
        addresses = ",".join(f"[{one}]" if ":" in one else one for one in target.addresses)
        return f"{target.host}:{target.port}:{addresses}"


def _url(name: str) -> str:
    if name.startswith("urn:buildpack:"):
        name = name.removeprefix("urn:buildpack:")
    if re.match(r"[a-z+]+://", name):
        return name
    if name.startswith("heroku/") and NAME.fullmatch(name):
        return HEROKU.format(name.removeprefix("heroku/"))
    if "/" in name and NAME.fullmatch(name):
        return REGISTRY.format(name)
    known = ", ".join(BUILTINS)
    raise BuildFailed(f"There is no buildpack called {name[:80]}. Give one of {known}, or a URL.")
