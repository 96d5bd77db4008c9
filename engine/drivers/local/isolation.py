"""What keeps dynos from each other and from the platform on this machine, found out by trying."""

import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import EngineError
from engine.drivers.local import process

log = logging.getLogger(__name__)
APP = Path("/app")  # where Heroku has an app's home, and many a script expects it
PROBE_UID = 29999


@dataclass(frozen=True)
class Isolation:
    """One level of isolation. `mounts` says how a dyno gets its own view of the files: "root", "user" or not at all."""

    own_user: bool
    mounts: str
    home: Path  # with mounts; without them each dyno has its home in its own folder
    hide: tuple[str, ...] = ()
    expose: tuple[tuple[str, str], ...] = field(default=())

    @property
    def level(self) -> str:
        """Its name, as in docs/operating.md."""
        if self.own_user:
            return "own user, own view" if self.mounts else "own user, a copy"
        return "own view" if self.mounts else "none"

    @property
    def sentence(self) -> str:
        """For the dashboard."""
        if self.own_user and self.mounts:
            return (
                "Every app runs as a system user of its own and sees its own files only: "
                "an overlay of its slug, private temporary folders, no data of the platform."
            )
        if self.own_user:
            return "Every app runs as a system user of its own, on a copy of its slug; it can read what every user can."
        if self.mounts:
            return (
                "All apps run as the platform's own user. Each sees an overlay of its slug and no data of the platform, "
                "but could end another's processes: run only code you trust."
            )
        if os.geteuid() == 0:
            return "All apps run as root, on copies of their slugs, and can do anything: run only code that is your own."
        return "All apps run as the platform's own user and can read its files: run only code you trust."

    def demand_volumes(self, volumes: Sequence[str]) -> None:
        """`EngineError` when a dyno can't have these: without a view of its own, an app's user gets to all or to none."""
        if volumes and self.own_user and not self.mounts:
            raise EngineError(
                "Storage needs a view of the files for each dyno, and this machine lets Slipway mount nothing: let it, "
                "or take the storage off the app.",
                permanent=True,
            )

    def prepare(self, folder: Path, tree: Path, uid: int | None) -> dict[str, Any]:
        """Make what a dyno needs inside `folder`; returns the launcher's part of it. Copying may take seconds."""
        owner = uid if self.own_user else None
        tmp = folder / "tmp"
        if self.mounts:
            for name in ("upper", "work", "stage", "lower", "tmp"):
                (folder / name).mkdir(parents=True)
            home, tmpdir, owned = self.home, "/tmp", [folder / "upper", tmp]  # noqa: S108 - its own
        else:
            folder.mkdir(parents=True)
            tmp.mkdir()
            home, tmpdir, owned = folder / "home", str(tmp), [folder / "home", tmp]
            copy_tree(tree, home, owner)
        for path in owned:
            if owner is not None:
                os.chown(path, owner, owner)
            path.chmod((0o1777 if path == tmp else 0o755) if self.mounts else 0o700)
        return {
            "mounts": bool(self.mounts),
            "user_namespace": self.mounts == "user",
            "folder": str(folder),
            "tree": str(tree),
            "home": str(home),
            "tmpdir": tmpdir,
            "hide": list(self.hide),
            "expose": [list(pair) for pair in self.expose],
            "uid": owner,
            "gid": owner,
        }


def copy_tree(tree: Path, home: Path, owner: int | None) -> None:
    """A dyno's own copy of a slug, sharing the blocks on disk where the file system can."""
    how = ["-c", "-pR"] if sys.platform == "darwin" else ["-a", "--reflink=auto"]
    copied = subprocess.run(["cp", *how, str(tree), str(home)], capture_output=True, text=True, check=False)
    if copied.returncode:
        raise EngineError(f"The slug could not be copied: {copied.stderr.strip()[-300:]}")
    for path, folders, files in os.walk(home):
        for name in (".", *folders, *files):
            each = Path(path, name)
            if owner is not None:
                os.chown(each, owner, owner, follow_symlinks=False)
            if not each.is_symlink():
                each.chmod(stat.S_IMODE(each.stat().st_mode) | stat.S_IWUSR)


def closed_ancestor(path: Path) -> Path | None:
    """The topmost folder on the way to `path` that other users may not enter."""
    for parent in reversed(path.parents):
        if not parent.stat().st_mode & stat.S_IXOTH:
            return parent
    return None


def detect(root: Path, hide: Sequence[Path]) -> Isolation:
    """The best level that works here, each tried with a process of its own."""
    for level in _levels(root, tuple(str(path) for path in hide)):
        problem = try_out(level, root)
        if problem is None:
            return level
        log.info("No isolation with own_user=%s mounts=%r: %s", level.own_user, level.mounts, problem)
    return none(root)


def none(root: Path) -> Isolation:
    """Only what every system has."""
    return Isolation(own_user=False, mounts="", home=root / "app")


def _levels(root: Path, hide: tuple[str, ...]) -> list[Isolation]:
    if sys.platform != "linux":
        return []
    home = _home(root)
    if os.geteuid() != 0:
        return [Isolation(own_user=False, mounts="user", home=home, hide=hide)]
    closed = closed_ancestor(Path(sys.base_prefix))
    expose = ((str(closed), sys.base_prefix),) if closed else ()
    return [
        Isolation(own_user=True, mounts="root", home=home, hide=hide, expose=expose),
        Isolation(own_user=True, mounts="", home=home),
    ]


def _home(root: Path) -> Path:
    try:
        APP.mkdir(exist_ok=True)
        return APP
    except OSError:
        return root / "app"


def try_out(level: Isolation, root: Path) -> str | None:
    """Start one process the way dynos are; returns what went wrong."""
    with tempfile.TemporaryDirectory(dir=root, prefix="probe-") as folder:
        Path(folder).chmod(0o711)
        tree = Path(folder, "tree")
        (tree / "bin").mkdir(parents=True)
        tree.joinpath("bin", "file").touch()
        try:
            part = level.prepare(Path(folder, "dyno"), tree, PROBE_UID)
            argv = ["/bin/bash", "-c", "touch bin/new bin/file && cd $HOME && mkdir x && touch $TMPDIR/x"]
            env = {"HOME": part["home"], "TMPDIR": part["tmpdir"], "PATH": process.PATH}
            child = process.spawn()
            child.launch({**part, "argv": argv, "env": env, "cgroups": [], "limits": {}})
            code = child.wait(10)
            return None if code == 0 else child.problem() or f"exit status {code}"
        except (OSError, EngineError) as error:
            return str(error)
        finally:
            remove(Path(folder, "dyno"))


def remove(folder: Path) -> None:
    """Remove a dyno's folder, whatever modes its files were given."""

    def open_up(function: Any, path: str, _: Any) -> None:
        try:
            Path(path).parent.chmod(0o700)
            if not Path(path).is_symlink():
                Path(path).chmod(0o700)
            shutil.rmtree(path) if Path(path).is_dir() and not Path(path).is_symlink() else Path(path).unlink(
                missing_ok=True
            )
        except OSError as error:
            log.warning("Left behind: %s", error)

    if folder.exists():
        shutil.rmtree(folder, onerror=open_up)
