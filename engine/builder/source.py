"""Tidying the source before a buildpack sees it."""

import fnmatch
import os
import shutil
from pathlib import Path

from core.errors import BuildFailed
from engine.builder.procfile import read_small

ALWAYS = (".git", "tmp", "log")


def tidy(root: Path) -> None:
    """Remove what a slug never has (`.git`, `tmp`, `log` at the top) and what `.slugignore` names."""
    for name in ALWAYS:
        _remove(root / name)
    data = read_small(root / ".slugignore")
    if data is not None:
        patterns = _patterns(data.decode("utf-8", "replace"))
        if patterns:
            _ignore(root, "", patterns)


def exclude(root: Path, patterns: list[str]) -> None:
    """Remove what any of `patterns` names."""
    _ignore(root, "", patterns)


def _patterns(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    patterns = [line for line in lines if line and not line.startswith("#")]
    for pattern in patterns:
        if pattern.startswith("!"):
            raise BuildFailed(f".slugignore cannot take files back in: {pattern[:80]}")
    return patterns


def _ignore(folder: Path, prefix: str, patterns: list[str]) -> None:
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        name = prefix + entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if any(_matches(name, is_folder, pattern) for pattern in patterns):
            _remove(Path(entry.path))
        elif is_folder:
            _ignore(Path(entry.path), name + "/", patterns)


def _matches(name: str, is_folder: bool, pattern: str) -> bool:
    """As in .gitignore: a pattern with a slash in it starts at the top, another fits at any depth; one that ends in a
    slash fits folders only."""
    if pattern.endswith("/"):
        if not is_folder:
            return False
        pattern = pattern.rstrip("/")
    if "/" in pattern:
        pattern = pattern.lstrip("/")
        return (fnmatch.fnmatchcase(name, pattern) and name.count("/") == pattern.count("/")) or (
            "**" in pattern and fnmatch.fnmatchcase(name, pattern)
        )
    return fnmatch.fnmatchcase(name.rpartition("/")[2], pattern)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
