"""The Python interpreters of this machine that apps can run on."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import BuildFailed

NAME = re.compile(r"python3\.(\d+)")
OLDEST = 8
# Who can run an interpreter: dynos and builds, since a way is opened to it; any user; the platform's user alone.
OPENED, OPEN, CLOSED = ACCESSES = ("opened", "open", "closed")


@dataclass(frozen=True)
class Interpreter:
    """One installed Python; `path` is what the slug refers to."""

    minor: int
    path: Path
    access: str

    @property
    def version(self) -> str:
        """Major and minor: `3.12`."""
        return f"3.{self.minor}"


def installed(search: Sequence[str], *, as_other: bool, opened: Sequence[str] = ()) -> list[Interpreter]:
    """What is found in the folders of `search`, the first of each version and access, newest first. `as_other` says
    that dynos run as other users than the platform, `opened` names closed folders that they are let into."""
    found: dict[tuple[int, str], Interpreter] = {}
    for minor, path in _candidates(search):
        if any(path.is_relative_to(prefix) for prefix in opened):
            access = OPENED
        else:
            access = OPEN if not as_other or reachable(path) else CLOSED
        found.setdefault((minor, access), Interpreter(minor, path, access))
    return sorted(found.values(), key=lambda one: (-one.minor, ACCESSES.index(one.access)))


def choose(
    wanted: str, found: Sequence[Interpreter], hidden: Sequence[Interpreter], said_by: str
) -> Interpreter:
    """The interpreter for a wanted version such as `3.12` or `3.12.4`; `BuildFailed` says what there is."""
    match = re.fullmatch(r"(?:python-?)?3(?:\.(\d+))?(?:\.(\d+|\*))?", wanted.strip(), re.IGNORECASE)
    if match is None:
        raise BuildFailed(f"{said_by} asks for Python {wanted[:40]!r}; give a version such as 3.12.")
    if match[1] is None and found:
        return found[0]
    for one in found:
        if str(one.minor) == match[1]:
            return one
    raise BuildFailed(_absent(f"3.{match[1]}" if match[1] else "3", found, hidden, said_by))


def closed_ancestor(path: Path) -> Path | None:
    """The topmost folder on the way to `path` that other users may not enter."""
    return next((one for one in reversed(path.parents) if not one.stat().st_mode & 0o001), None)


def _absent(version: str, found: Sequence[Interpreter], hidden: Sequence[Interpreter], said_by: str) -> str:
    there = ", ".join(dict.fromkeys(one.version for one in found)) or "none"
    text = (
        f"{said_by} asks for Python {version}, which is not installed on this machine (installed: {there}). "
    )
    unreachable = next((one for one in hidden if one.version == version), None)
    if unreachable is not None:
        return (
            text
            + f"There is one at {unreachable.path}, but the system users that dynos run as cannot reach it."
        )
    if found:
        text += f"Change {said_by} to {found[0].version}, or have"
    else:
        text += "Have"
    return text + f" the operator install it: uv python install --install-dir /opt/python {version}"


def reachable(path: Path) -> bool:
    """Whether any user may run the program at `path`: each folder on the way, links resolved, is open to all."""
    real = path.resolve()
    folders = {*path.parents, *real.parents}
    try:
        return bool(real.stat().st_mode & 0o001) and all(folder.stat().st_mode & 0o001 for folder in folders)
    except OSError:
        return False


def search_folders(path: str, home: Path, environ: dict[str, str]) -> list[str]:
    """Where to look: beside the platform's own interpreter, the folders of PATH, those of uv and pyenv. Shims are left
    out since they are shell scripts, virtual environments since they are somebody's."""
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    managed = Path(environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")
    folders = [f"{sys.base_prefix}/bin", *path.split(os.pathsep), "/usr/local/bin", "/usr/bin"]
    for root in (Path("/opt/python"), managed, pyenv):
        folders += [str(one / "bin") for one in sorted(_inside(root), key=_version_key, reverse=True)]
    return [folder for folder in dict.fromkeys(folders) if _may_hold_interpreters(folder)]


def _may_hold_interpreters(folder: str) -> bool:
    return (
        bool(folder)
        and "shims" not in folder
        and not os.path.exists(os.path.join(folder, "..", "pyvenv.cfg"))
    )


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _version_key(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.name)[:3]]


def _candidates(search: Sequence[str]) -> Iterator[tuple[int, Path]]:
    for folder in search:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            match = NAME.fullmatch(name)
            if match and int(match[1]) >= OLDEST:
                yield int(match[1]), Path(folder) / name
