"""Slugs that are made elsewhere: an archive with the folder `app`, as Heroku's API takes it, becomes a slug as we keep them.

It runs as a process of its own (`python -m engine.builder.repack`), so that a large archive holds up no request.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from core.errors import BuildFailed
from engine.builder.pack import pack
from engine.builder.spec import BuildLimits
from engine.builder.unpack import unpack

APP = "app"
LITTER = "._"  # what macOS puts beside each file
HOW = "A slug has all its files in the folder app: tar czf slug.tgz ./app"
FAULT = 3  # the exit code that goes with a reason on stdout


def repack(upload: Path, into: Path, *, limits: BuildLimits) -> None:
    """Write the slug of the archive `upload` (a tar, plain, gzipped or zstd) to the file `into`, in a process beside.
    `BuildFailed` says what is wrong with the archive."""
    with tempfile.TemporaryDirectory(dir=into.parent) as work:
        numbers = [limits.unpacked_bytes, limits.files]
        command = [sys.executable, "-m", __name__, str(upload), str(into), work, *map(str, numbers)]
        try:
            done = subprocess.run(
                command,
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=limits.seconds,
            )
        except subprocess.TimeoutExpired:
            raise BuildFailed(f"The archive took longer than {limits.seconds:.0f} s to unpack.") from None
    said = done.stdout.decode(errors="replace")
    if done.returncode == FAULT:
        raise BuildFailed(said)
    if done.returncode:
        raise RuntimeError(
            f"Repacking a slug ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}"
        )
    if into.stat().st_size > limits.slug_bytes:
        raise BuildFailed(
            f"The slug is larger than {limits.slug_bytes:,} bytes, the most that is taken here."
        )


def _repack(upload: Path, into: Path, work: Path, max_bytes: int, max_files: int) -> None:
    unpack(upload, work, max_bytes=max_bytes, max_files=max_files, outer_links=True)
    root = work / APP
    beside = sorted(path.name for path in work.iterdir() if path != root and not path.name.startswith(LITTER))
    if root.is_symlink() or not root.is_dir() or not any(root.iterdir()):
        raise BuildFailed(f"The archive has no folder app, or nothing in it. {HOW}")
    if beside:
        raise BuildFailed(f"The archive has {beside[0][:80]} beside the folder app. {HOW}")
    pack(root, into, max_bytes=max_bytes)


def _main(upload: str, into: str, work: str, max_bytes: str, max_files: str) -> int:
    os.nice(10)
    try:
        _repack(Path(upload), Path(into), Path(work), int(max_bytes), int(max_files))
    except BuildFailed as fault:
        print(fault, end="")
        return FAULT
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
