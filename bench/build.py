"""How long a build of a tiny Flask + gunicorn app takes, beside the same by hand: unpack, uv, and nothing else.

    python bench/build.py [--rounds 5]

Both do a first build (packages downloaded into an empty cache) and rebuilds of changed code, in turns; figures are
medians in milliseconds. A build of ours ends with a stored slug, fsynced, and its unpacked tree ready to start.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.builder import BuildLimits, BuildSpec, build
from engine.builder.slugs import SlugStore

TARGET = 250  # ms for a code-only rebuild, slug and tree included
UV = str(Path(sys.executable).parent / "uv")


def source(folder: Path, number: int) -> Path:
    """An archive of the app, different for every number."""
    files = {
        "requirements.txt": "flask\ngunicorn\n",
        "Procfile": "web: gunicorn app:app\n",
        "app.py": f"from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef home(): return '{number}'\n",
    }
    path = folder / f"source-{number}.tar"
    with tarfile.open(path, "w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, BytesIO(text.encode()))
    return path


def by_hand(folder: Path, number: int) -> float:
    """Unpack, and install into a new environment when there is none."""
    archive, app, venv = source(folder, number), folder / f"hand-{number}", folder / "hand-venv"
    started = time.perf_counter()
    app.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", app], check=True)
    if not venv.exists():
        env = {**os.environ, "UV_CACHE_DIR": str(folder / "hand-cache"), "UV_LINK_MODE": "copy"}
        subprocess.run(
            [UV, "venv", "-q", "--python", sys.base_prefix + "/bin/python3", venv], check=True, env=env
        )
        install = [UV, "pip", "install", "-q", "--compile-bytecode", "-r", app / "requirements.txt"]
        subprocess.run([*install, "--python", venv / "bin/python"], check=True, env=env)
    return (time.perf_counter() - started) * 1000


def by_us(folder: Path, slugs: SlugStore, number: int) -> tuple[float, float]:
    """Build, then have the tree; returns both times."""
    spec = BuildSpec(
        id=f"bench-{number}",
        app="bench",
        source=source(folder, number),
        env={},
        cache=folder / "data/caches/bench",
        buildpacks=[],
        stack="slipway-24",
        slot=1,
        limits=BuildLimits(),
        work=folder / f"data/work/{number}",
    )
    started = time.perf_counter()
    result = build(spec, slugs=slugs, write=lambda line: None, cancelled=lambda: False)
    built = time.perf_counter()
    slugs.tree(result.digest)
    return (built - started) * 1000, (time.perf_counter() - built) * 1000


def first_and_rest(rounds: int) -> tuple[list[float], list[tuple[float, float]], list[float]]:
    """Times of one fresh start of each kind and of `rounds` rebuilds after it."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-bench-"))
    folder.chmod(0o711)
    try:
        slugs = SlugStore(folder / "data/slugs")
        hand, ours = [by_hand(folder, 0)], [by_us(folder, slugs, 0)]
        for number in range(1, rounds + 1):
            hand.append(by_hand(folder, number))
            ours.append(by_us(folder, slugs, number))
        return hand, ours, [build + tree for build, tree in ours]
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Exit status 1 when a code-only rebuild is slower than the target."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    runs = [first_and_rest(rounds) for _ in range(3)]
    first_hand = statistics.median(hand[0] for hand, _, _ in runs)
    first_ours = statistics.median(total[0] for _, _, total in runs)
    again_build = statistics.median(build for _, ours, _ in runs for build, _ in ours[1:])
    again_tree = statistics.median(tree for _, ours, _ in runs for _, tree in ours[1:])
    again = statistics.median(one for _, _, total in runs for one in total[1:])
    print("| build | by hand (no slug) ms | Slipway ms | of that: unpacked tree ms |")
    print("|---|---:|---:|---:|")
    print(
        f"| first | {first_hand:.0f} | {first_ours:.0f} | {statistics.median(o[0][1] for _, o, _ in runs):.0f} |"
    )
    hand_again = statistics.median(one for hand, _, _ in runs for one in hand[1:])
    print(f"| code only | {hand_again:.0f} | {again:.0f} (build {again_build:.0f}) | {again_tree:.0f} |")
    return 0 if again <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
