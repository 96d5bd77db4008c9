"""What a Dockerfile may copy from: a folder of the source as a tar archive, less what its .dockerignore names."""

import os
import tarfile
from pathlib import Path

from docker.utils.build import PatternMatcher

from engine.builder.procfile import read_small

MTIME = 1_704_067_200  # one time for all, or a new push would look like new files to the engine's cache


def write_context(folder: Path, dockerfile: str, into: Path) -> None:
    """Write the archive of `folder` to the file `into`; the Dockerfile in it is always there."""
    ignored = PatternMatcher(_patterns(folder))
    with tarfile.open(into, "w", format=tarfile.GNU_FORMAT) as archive:
        for path in _walk(folder):
            name = path.relative_to(folder).as_posix()
            if name != dockerfile and ignored.matches(name):
                continue
            entry = archive.gettarinfo(path, arcname=name)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = MTIME
            if entry.isreg():
                with path.open("rb") as file:
                    archive.addfile(entry, file)
            else:
                archive.addfile(entry)


def _walk(folder: Path) -> list[Path]:
    """Every file, folder and link below, in one order; links are not followed."""
    found = []
    for path, folders, files in os.walk(folder):
        if Path(path) == folder:
            folders[:] = [name for name in folders if name != ".git"]
        found += [Path(path, name) for name in (*folders, *files)]
    return sorted(found)


def _patterns(folder: Path) -> list[str]:
    data = read_small(folder / ".dockerignore") or b""
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
