"""A build is bounded in every way, can be cancelled in every phase, and leaves nothing behind (promise I-13)."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import BuildFailed
from engine.builder import BuildCancelled
from engine.builder.cgroups import Cgroups
from tests.conftest import eventually
from tests.engine.workshop import Workshop

pytestmark = pytest.mark.promise("I-13")


@pytest.fixture
def shop(tmp_path):
    shop = Workshop(tmp_path / "data")
    yield shop
    assert not shop.last.work.exists()
    eventually(lambda: not processes_with(shop.last.id), seconds=5)


def processes_with(mark):
    """Processes that have `mark` on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(path)
        except OSError:
            continue
    return found


def lingering(shop, script):
    """A script that first leaves processes behind which can be told by the build's id."""
    return f'id=$(basename "$(dirname "$1")"); setsid sleep 300.0$id & (trap "" TERM HUP; sleep 301.0$id) &\n{script}'


def test_time(shop):
    started = time.monotonic()
    with pytest.raises(BuildFailed, match=r"The build took longer than 1 seconds"):
        shop.look(lingering(shop, "sleep 60"), seconds=1)
    assert time.monotonic() - started < 8
    assert not processes_with(f"sleep\x00300.0{shop.last.work.name}")
    assert not processes_with(f"sleep\x00301.0{shop.last.work.name}")


def test_nothing_is_left_after_success_either(shop):
    started = time.monotonic()
    shop.look(lingering(shop, "true"))
    assert time.monotonic() - started < 8
    assert not processes_with(f"sleep\x00300.0{shop.last.work.name}")


def test_output(shop):
    with pytest.raises(BuildFailed, match="Build output is over 1 MB"):
        shop.look("yes this goes on and on", output_bytes=2**20)
    assert sum(map(len, shop.lines)) <= 2**20


def test_memory(shop):
    if Cgroups("probe", memory=2**30, processes=10).memory_folder is None:
        pytest.skip("control groups cannot be made here (run as root on Linux)")
    hog = "exec python3 -c 'x = [bytearray(1 << 20) for _ in range(400)]; print(len(x))'"
    with pytest.raises(BuildFailed, match="The build used more than 128 MB of memory"):
        shop.look(hog, memory=128 * 2**20)


def test_processes(shop):
    groups = Cgroups("probe2", memory=2**30, processes=10)
    groups.remove()
    bomb = "i=0; while [ $i -lt 100 ]; do sleep 20 & i=$((i+1)); done; echo all of them"
    with pytest.raises(BuildFailed, match="Number Two failed"):
        shop.look(bomb, processes=30)
    assert b"all of them" not in shop.lines


def test_disk(shop):
    with pytest.raises(BuildFailed, match="more than 64 MB of disk"):
        shop.look(
            "cd $2; i=0; while [ $i -lt 90 ]; do head -c 1048576 /dev/zero > f$i; i=$((i+1)); done; sleep 30",
            disk_bytes=64 * 2**20,
        )


def test_one_huge_file(shop):
    with pytest.raises(BuildFailed, match="Number Two failed"):
        shop.look("head -c 90000000 /dev/zero > huge && echo written", disk_bytes=64 * 2**20)
    assert b"written" not in shop.lines


def test_the_slug_unpacked(shop):
    with pytest.raises(BuildFailed, match="over the limit, unpacked"):
        shop.look("head -c 3000000 /dev/zero > big", unpacked_bytes=2_000_000)


def test_the_slug_packed(shop):
    with pytest.raises(BuildFailed, match=r"The slug is 3\.\d MB; the limit is 1 MB"):
        shop.look("head -c 4000000 /dev/urandom > big; truncate -s 3500000 big", slug_bytes=2**20)


def test_a_bomb_as_source(shop):
    with pytest.raises(BuildFailed, match="unpacks to more than 1 MB"):
        shop.build({"Procfile": "web: x", "zeros": bytes(5_000_000)}, unpacked_bytes=2**20)


@pytest.mark.parametrize("script", ["sleep 60", "trap '' TERM INT HUP; while :; do :; done", "yes"])
def test_cancelling(shop, script):
    asked_at = time.monotonic() + 0.8
    with pytest.raises(BuildCancelled):
        shop.look(lingering(shop, script), cancelled=lambda: time.monotonic() > asked_at)
    assert time.monotonic() - asked_at < 5
    assert not processes_with(f"sleep\x00300.0{shop.last.work.name}")


def test_cancelled_before_it_began(shop):
    with pytest.raises(BuildCancelled):
        shop.build({"Procfile": "web: x"}, cancelled=lambda: True)
    assert shop.lines == []


def test_its_control_groups_are_gone(shop):
    shop.look("true")
    # Unlike Path.glob, os.walk goes on when a group of somebody else's is gone before it is looked into.
    assert not [at for at, names, _ in os.walk("/sys/fs/cgroup") if f"slipway-build-{shop.last.id}" in names]


DOOMED = """
import sys
from pathlib import Path
from tests.engine.workshop import Workshop
Workshop(Path(sys.argv[1])).look('echo $$ > "$2/started"; setsid sleep 300.0123 & sleep 301.0123')
"""


def test_a_platform_that_is_killed_takes_its_builds_along(shop, tmp_path):
    shop.look("true")
    root = tmp_path / "doomed"
    platform = subprocess.Popen([sys.executable, "-c", DOOMED, str(root)], cwd=Path(__file__).parents[2])
    try:
        eventually(lambda: (root / "caches/app/started").exists(), seconds=20)
        eventually(lambda: processes_with("sleep\x00300.0123"))
    finally:
        platform.kill()
        platform.wait()
    eventually(
        lambda: not processes_with("sleep\x00300.0123") and not processes_with("sleep\x00301.0123"), seconds=5
    )
