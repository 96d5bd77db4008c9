import hashlib
import itertools
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import pytest

from core.errors import EngineError
from engine.drivers.local import LocalDriver, cgroups
from engine.drivers.local.isolation import Isolation
from engine.drivers.local.ports import Ports
from engine.drivers.loop import Loop
from engine.drivers.output import Lines, Outlet
from engine.spec import Line, ProcessSpec
from engine.volumes import Volumes
from tests.conftest import eventually
from tests.engine.driver_contract import (
    PYTHON,
    SMALL,
    WEB,
    DriverContract,
    Recorder,
    Slugs,
    alive,
    until,
)

PORTS = range(21000, 21480)
_ids = itertools.count(1)


@pytest.fixture(params=["isolated", "bare"])
def bare(request):
    return request.param == "bare"


class TestLocalDriver(DriverContract):
    @pytest.fixture
    def driver(self, tmp_path, lines, slugs, bare):
        driver = LocalDriver(
            tmp_path / "driver", sink=lines, tree=slugs.tree, instance="test", ports=PORTS, bare=bare
        )
        yield driver
        driver.close()


@pytest.fixture
def lines():
    return Recorder()


@pytest.fixture
def slugs(tmp_path):
    return Slugs(tmp_path / "slugs")


@pytest.fixture
def start(tmp_path, lines, slugs):
    """Makes drivers, closed in the end."""
    drivers = []

    def make(name="driver", *, instance="test", sink=lines, **extra):
        driver = LocalDriver(
            tmp_path / name, sink=sink, tree=slugs.tree, instance=instance, ports=PORTS, **extra
        )
        drivers.append(driver)
        return driver

    yield make
    for driver in drivers:
        driver.close()


@pytest.fixture
def spec(slugs):
    default = slugs.make()

    def make(command, dyno="run.1", app="one", one_off=True, **extra):
        values = {"slug": default, "env": {}, "slot": 1, "stop_seconds": 5, **extra}
        return ProcessSpec(
            id=f"local-{next(_ids)}", app=app, dyno=dyno, command=command, one_off=one_off, **values
        )

    return make


class Clocked:
    """A sink that notes when the lines of quiet dynos arrive, and keeps a flood out of the memory."""

    def __init__(self, sink):
        self.sink, self.lines = sink, []

    def __call__(self, stream, lines):
        if stream != "app/loud":
            self.lines.extend((time.time(), line) for line in lines)
            self.sink(stream, lines)


def tag_of(root):
    return f"test-{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:8]}"


def processes_with(marker):
    """Processes that have `marker` in their environment."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in path.read_bytes().split(b"\0") and alive(int(path.parent.name)):
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found


def output(driver, lines, spec):
    """Run `spec` and return the lines it wrote."""
    driver.run(spec)
    eventually(
        lambda: any(state.id == spec.id and state.state == "down" for state in driver.observe(spec.app))
    )
    eventually(lambda: any(text.startswith("Process exited") for text in lines.texts(dyno=spec.dyno)))
    return lines.texts(source="app", dyno=spec.dyno)


# --- isolation ----------------------------------------------------------------------------------------------------


def needs_isolation(driver):
    if "system user of its own and sees its own files only" not in driver.isolation:
        skip_without("root, overlayfs and mounts with mapped ids (Linux 5.19 or later)")


def needs_limits(driver):
    if "Limited by control groups: memory, processes" not in driver.isolation:
        skip_without("control groups that can be written to: run as root")


def skip_without(part):
    if os.environ.get("CI") == "true":
        pytest.fail(f"absent: {part}")
    pytest.skip(f"absent: {part}")


@pytest.fixture
def data():
    """A folder for the platform's data, not below /tmp: that is the dyno's own anyway."""
    if os.geteuid() != 0:
        skip_without("root")
    with tempfile.TemporaryDirectory(dir="/var", prefix="slipway-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.promise("I-12")
def test_a_dyno_sees_nothing_of_the_platform_or_of_other_apps(start, spec, lines, data):
    (data / "keys.env").write_text("SLIPWAY_KEYS=secret")
    driver = start(hide=[data])
    needs_isolation(driver)
    driver.run(spec("echo mine > $HOME/file; exec sleep 100", app="other", slot=2, env={"K": "secret"}))
    other = until(driver, "up", app="other").pid
    look = f"cat {data}/keys.env; ls -A {data} | wc -l; cat /proc/{other}/environ; kill {other}; ls /app /tmp"
    said = output(driver, lines, spec(look, "run.2"))
    assert said == [
        f"cat: {data}/keys.env: No such file or directory",
        "0",
        f"cat: /proc/{other}/environ: No such file or directory",
        f"/bin/bash: line 1: kill: ({other}) - Operation not permitted",
        "/app:",
        "server.py",
        "",
        "/tmp:",
    ]


def test_a_dyno_finds_its_volumes_and_no_other(start, spec, lines, data):
    volumes = Volumes(data / "volumes")
    mine, theirs = (str(volumes.make(str(uuid.uuid4()))) for _ in range(2))
    driver = start(hide=[data])
    needs_isolation(driver)
    look = f"mkdir {mine}/new; echo 1 > {mine}/new/file; ls {data}/volumes | wc -l; cat {theirs}/x"
    assert output(driver, lines, spec(look, volumes=(mine,))) == [
        "1",
        f"cat: {theirs}/x: No such file or directory",
    ]
    more = f"echo 2 >> {mine}/new/file; touch {mine}/new/other; rm {mine}/new/other; cat {mine}/new/file"
    assert output(driver, lines, spec(more, "run.2", app="two", slot=2, volumes=(mine, theirs))) == ["1", "2"]
    assert output(driver, lines, spec(f"ls {mine}", "run.3", app="three", slot=3)) == [
        f"ls: cannot access '{mine}': No such file or directory"
    ]
    assert (Path(mine) / "new" / "file").read_text() == "1\n2\n"


def test_a_dyno_that_shares_the_files_of_the_machine_gets_no_volumes():
    plain = Isolation(own_user=True, mounts="", home=Path("/app"))
    plain.demand_volumes(())
    with pytest.raises(EngineError, match="lets Slipway mount nothing"):
        plain.demand_volumes(("/data/volumes/one",))


def test_a_dyno_runs_as_the_user_of_its_app_with_its_home_at_app(start, spec, lines):
    driver = start(first_uid=40000)
    needs_isolation(driver)
    said = output(driver, lines, spec("id -u; id -G; pwd; stat -c %u . server.py; umask; ulimit -c", slot=7))
    assert said == ["40007", "40007", "/app", "40007", "40007", "0022", "0"]


def test_a_dyno_can_gain_no_rights(start, spec, lines):
    driver = start()
    needs_isolation(driver)
    said = output(
        driver,
        lines,
        spec("grep -E 'NoNewPrivs|CapEff' /proc/self/status; umount /tmp; mount -t tmpfs x /mnt"),
    )
    assert said[:2] == ["CapEff:\t0000000000000000", "NoNewPrivs:\t1"]
    assert [text for text in said if "must be superuser" in text] == said[2:4]


def test_the_platforms_own_interpreter_can_be_used(start, spec, lines):
    said = output(start(), lines, spec(f"{PYTHON} -c 'import ssl; print(6 * 7)'"))
    assert said == ["42"]


@pytest.mark.promise("I-13")
def test_a_dyno_past_its_memory_is_ended(start, spec, lines):
    driver = start()
    needs_limits(driver)
    hungry = spec(f"exec {PYTHON} -c 'x = b\"x\" * 200_000_000'", "worker.1", one_off=False, size=SMALL)
    driver.apply("one", [hungry])
    state = until(driver, "crashed")
    assert (state.exit_code, state.reason) == (137, "Error R15 (Memory quota vastly exceeded)")


@pytest.mark.promise("I-13")
def test_a_child_past_the_memory_ends_its_dyno(start, spec, lines):
    driver = start(sample_seconds=0.05)
    needs_limits(driver)
    hungry = f"{PYTHON} -c 'x = b\"x\" * 200_000_000'; exec sleep 100"
    driver.apply("one", [spec(hungry, "worker.1", one_off=False, size=SMALL)])
    assert until(driver, "crashed").reason == "Error R15 (Memory quota vastly exceeded)"


@pytest.mark.parametrize("bare", [False, True])
def test_a_dyno_above_its_memory_is_told(start, spec, lines, bare):
    driver = start(sample_seconds=0.05, bare=bare)
    above = f"exec {PYTHON} -IS -c 'import time; x = b\"x\" * 40_000_000; time.sleep(100)'"
    driver.run(spec(above, size=SMALL))
    eventually(lambda: "Error R14 (Memory quota exceeded)" in lines.texts(source="heroku"))
    assert any(text.startswith("Process running mem=") for text in lines.texts(source="heroku"))
    (state,) = driver.observe("one")
    assert state.state == "up" and 40_000_000 < state.memory < 100_000_000


def test_a_dyno_far_above_its_memory_is_ended_without_control_groups_too(start, spec):
    driver = start(sample_seconds=0.05, bare=True)
    driver.run(spec(f"exec {PYTHON} -c 'import time; x = b\"x\" * 100_000_000; time.sleep(100)'", size=SMALL))
    assert until(driver, "down").reason == "Error R15 (Memory quota vastly exceeded)"


@pytest.mark.promise("I-13")
def test_a_dyno_past_its_processes_cannot_fork(start, spec, lines):
    driver = start()
    needs_limits(driver)
    count = """
import os, time
n = 0
try:
    while os.fork():
        n += 1
except BlockingIOError:
    print("children:", n, flush=True)
    os._exit(0)
time.sleep(100)
"""
    assert output(driver, lines, spec(f"exec {PYTHON} -ISc '{count}'", size=SMALL)) == [
        f"children: {SMALL.pids - 1}"
    ]


def test_a_fork_bomb_is_ended(start, spec, lines):
    driver = start()
    needs_limits(driver)
    bomb = spec("bomb() { bomb | bomb & }; trap '' TERM; bomb; sleep 100", stop_seconds=0.1, size=SMALL)
    driver.run(bomb)
    until(driver, "up")
    driver.stop("one", bomb.id)
    until(driver, "down", seconds=10)
    assert processes_with(f"SLIPWAY_DYNO={bomb.id}") == set()


# --- the platform dies --------------------------------------------------------------------------------------------

PLATFORM = """
import sys, time
from pathlib import Path
from engine.drivers.local import LocalDriver
from engine.spec import ProcessSpec
root, tree, bare = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "True"
driver = LocalDriver(root, sink=lambda *_: None, tree=lambda _: tree, instance="test", ports=range(21000, 21999), bare=bare)
command = "(setsid sleep 1000 &); (sleep 1000 &); exec sleep 1000"
driver.run(ProcessSpec(id="x1", app="one", dyno="run.1", command=command, slug="x", env={}, slot=1, one_off=True))
while not any(state.state == "up" for state in driver.observe("one")):
    time.sleep(0.01)
print(driver.observe("one")[0].pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.promise("I-19")
def test_nothing_is_left_of_a_platform_that_was_killed(start, slugs, tmp_path, bare):
    root, tree = tmp_path / "driver", slugs.tree(slugs.make())
    tag = f"SLIPWAY_INSTANCE={tag_of(root)}"
    platform = subprocess.Popen(
        [sys.executable, "-c", PLATFORM, root, tree, str(bare)], stdout=subprocess.PIPE
    )
    with platform:
        pid = int(platform.stdout.readline())
        eventually(lambda: len(processes_with(tag)) == 3)
        platform.kill()
    eventually(lambda: not alive(pid))  # at once, by the kernel
    assert processes_with(tag)  # its children are not the platform's
    start(bare=bare)
    assert processes_with(tag) == set()
    assert list(root.glob("dynos/*")) == []
    assert not [path for path in Path("/sys/fs/cgroup").glob(f"*/slipway-{tag_of(root)}/x1")]


@pytest.mark.promise("I-19")
def test_platforms_side_by_side_leave_each_other_alone(start, spec, bare):
    """Not even when both have a dyno of the same id."""
    first, same = start("first", bare=bare), spec("exec sleep 100")
    first.run(same)
    pid = until(first, "up").pid
    second = start("second", bare=bare)
    second.run(same)
    until(second, "up")
    second.close()
    assert alive(pid)
    assert [state.state for state in first.observe("one")] == ["up"]


def test_a_folder_serves_one_platform(start):
    driver = start()
    with pytest.raises(EngineError, match="Another platform uses") as refused:
        start()
    assert refused.value.permanent
    driver.close()
    start().close()


def test_nothing_is_left_of_a_driver_that_was_closed(start, spec, tmp_path):
    driver = start()
    driver.run(spec("exec sleep 100"))
    until(driver, "up")
    threads = {thread.name for thread in threading.enumerate()}
    assert any(name.startswith("local-driver") for name in threads)
    driver.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("local-driver")]
    assert list((tmp_path / "driver" / "dynos").iterdir()) == []
    assert not [path for path in Path("/sys/fs/cgroup").glob(f"*/slipway-{tag_of(tmp_path / 'driver')}")]


def test_nothing_is_written_to_who_got_the_descriptors_of_a_loop_that_ended():
    """The last to post, from another thread, may come when the loop has ended already."""
    loop = Loop("local-driver")
    loop.start()
    loop.stop()
    pipes = [os.pipe() for _ in range(8)]  # numbers that are free are given out again
    try:
        loop.post(lambda: None)
        assert select.select([reader for reader, _ in pipes], [], [], 0)[0] == []
    finally:
        for fd in itertools.chain(*pipes):
            os.close(fd)


# --- when the world fails -----------------------------------------------------------------------------------------


def test_without_a_free_port_the_dyno_says_so(tmp_path, lines, slugs, spec):
    driver = LocalDriver(
        tmp_path / "driver", sink=lines, tree=slugs.tree, instance="test", ports=range(21500, 21501)
    )
    try:
        wanted = [spec(WEB, f"web.{n}", one_off=False, web=True) for n in (1, 2)]
        driver.apply("one", wanted)
        until(driver, "up")
        assert until(driver, "crashed").reason == "There is no free port for another web dyno."
    finally:
        driver.close()


def test_a_command_that_is_not_there_says_so(start, spec, lines):
    driver = start()
    assert output(driver, lines, spec("no-such-command")) == [
        "/bin/bash: line 1: no-such-command: command not found"
    ]
    assert driver.observe("one")[0].exit_code == 127


def test_an_environment_that_cannot_be_is_the_dynos_end_only(start, spec):
    driver = start()
    driver.run(spec("true", env={"BROKEN": "a\0b"}))
    assert "could not be started" in until(driver, "down").reason


def test_a_bug_in_the_slug_store_is_the_dynos_end_only(tmp_path, lines, spec):
    def tree(digest):
        raise LookupError(digest)

    driver = LocalDriver(tmp_path / "driver", sink=lines, tree=tree, instance="test", ports=PORTS)
    try:
        driver.run(spec("true"))
        assert until(driver, "down").reason == "Error R99 (Platform error) -> LookupError"
    finally:
        driver.close()


def test_a_listener_that_fails_harms_nobody(start, spec):
    driver, heard = start(), []

    def fails(app):
        raise RuntimeError(app)

    driver.on_change(fails)
    driver.on_change(heard.append)
    driver.run(spec("true"))
    until(driver, "down")
    assert "one" in heard


def test_lines_wait_for_a_sink_that_fails(start, spec):
    kept, tries = Recorder(), []

    def sink(stream, lines):
        tries.append(stream)
        if len(tries) < 3:
            raise OSError("No space left on device")
        kept(stream, lines)

    driver = start(sink=sink)
    driver.run(spec("seq 1000"))
    until(driver, "down")
    eventually(lambda: "Process exited with status 0" in kept.texts())
    assert kept.texts(source="app") == [str(n) for n in range(1, 1001)]


@pytest.mark.promise("I-17")
def test_a_flood_does_not_keep_other_lines_waiting(start, spec, lines):
    late = Clocked(lines)
    driver = start(sink=late)
    flood = spec("exec yes this is a flood of lines that never ends", "run.1", app="loud", slot=2)
    driver.run(flood)
    until(driver, "up", app="loud")
    quiet = "for i in 1 2 3 4 5 6 7 8; do date +%s.%N; sleep 0.1; done"
    output(driver, lines, spec(quiet, "run.2"))
    driver.stop("loud", flood.id)
    said = lines.lines(source="app", dyno="run.2")
    assert len(said) == 8
    assert max(line.at - float(line.text) for line in said) < 2
    assert max(at - line.at for at, line in late.lines if line.dyno == "run.2") < 2


@pytest.mark.promise("I-23")
def test_what_is_dropped_is_counted():
    gate, kept = threading.Event(), Recorder()

    def sink(stream, lines):
        gate.wait()
        kept(stream, lines)

    outlet = Outlet(sink, "test")
    outlet.start()
    batch = [Line("app", "web.1", b"x" * 9_940, 1.5)] * 100
    for _ in range(20):
        outlet.put("app/one", batch)
    assert outlet.full("app/one")
    gate.set()
    outlet.close()
    notice = [text for text in kept.texts(source="heroku")]
    found = re.fullmatch(r"Error L10 \(output buffer overflow\): (\d+) messages dropped since .*", notice[0])
    assert len(notice) == 1
    assert int(found[1]) + len(kept.lines(source="app")) == 2000
    assert int(found[1]) > 0


# --- parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 10_000, 10_001, 100_000])
def test_lines_are_the_same_however_the_bytes_come(size):
    text = b"one\n\ntwo\r\n" + b"a" * 10_000 + b"\n" + b"b" * 25_000 + b"\nend"
    lines = Lines()
    found = [line for at in range(0, len(text), size) for line in lines.feed(text[at : at + size])]
    found += lines.flush()
    pieces = [b"one", b"", b"two\r", b"a" * 10_000, b"b" * 10_000, b"b" * 10_000, b"b" * 5_000, b"end"]
    assert found == pieces
    assert lines.flush() == []


@pytest.mark.promise("I-26")
def test_a_port_rests_for_a_minute():
    now = [0.0]
    ports = Ports(range(21600, 21602), clock=lambda: now[0])
    both = {ports.take(), ports.take()}
    assert both == {21600, 21601}
    ports.give_back(21600)
    now[0] = 59.9
    with pytest.raises(EngineError):
        ports.take()
    now[0] = 60.1
    assert ports.take() == 21600


def test_a_port_in_use_is_passed_over():
    with socket.create_server(("127.0.0.1", 21610)):
        assert Ports(range(21610, 21612)).take() == 21611


def test_control_groups_of_version_2(tmp_path):
    mount = next(
        (
            m
            for m in map(Path, ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"])
            if (m / "cgroup.controllers").exists()
        ),
        None,
    )
    groups = cgroups.detect("test-v2", mount) if mount else None
    if groups is None:
        skip_without("control groups (version 2) that can be written to: run as root")
    group = groups.make("one", SMALL)
    with subprocess.Popen(["sleep", "100"]) as sleeper:
        for entry in group.entries:
            Path(entry).write_text(str(sleeper.pid))
        assert group.pids() == {sleeper.pid}
        group.kill()
        assert sleeper.wait(5) == -9
    groups.sweep()
    assert not group.pids()
    groups.close()
    assert not [parent for parent in groups.parents.values() if parent.exists()]


LESSER = {
    "nobody": (
        ["--reuid=65534", "--regid=65534", "--clear-groups"],
        "overlay of its slug",
        "65534",
        "hidden",
        ["1"],
    ),
    "in a container": (
        ["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"],
        "a copy of its slug",
        "30001",
        "readable",
        [],
    ),
}


@pytest.mark.parametrize("who", LESSER)
def test_with_fewer_rights_there_is_less_isolation_but_dynos_run(who):
    """Such a driver runs in a process of its own; any Python will do, since it needs the standard library only."""
    if os.geteuid() != 0 or not shutil.which("setpriv") or not Path("/usr/bin/python3").exists():
        skip_without("root, /usr/bin/python3, and setpriv to become somebody else")
    rights, level, uid, secret, volumes = LESSER[who]
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        folder.chmod(0o777)
        (folder / "tree").mkdir()
        (folder / "secret").write_text("secret")
        done = subprocess.run(
            ["setpriv", *rights, "/usr/bin/python3", "-c", LESSER_PLATFORM, folder],
            env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        isolation, *said = done.stdout.splitlines()
        if who == "nobody" and "overlay" not in isolation:
            skip_without("user namespaces for everybody")
        assert level in isolation
        assert said == [uid, secret, "done", *volumes]
        assert list((folder / "tree").iterdir()) == []
        assert list((folder / "driver" / "dynos").iterdir()) == []
    finally:
        shutil.rmtree(folder)


REPOSITORY = Path(__file__).resolve().parents[2]
LESSER_PLATFORM = """
import sys, time
from pathlib import Path
from engine.drivers.local import LocalDriver
from engine.spec import ProcessSpec
from engine.volumes import Volumes
folder = Path(sys.argv[1])
volume = Volumes(folder / "volumes").make("5a3ad0a5-ee00-4f3b-9a30-2b5f5b3b8f1e")
out = []
driver = LocalDriver(folder / "driver", sink=lambda stream, lines: out.extend(lines), tree=lambda _: folder / "tree",
                     instance="test", hide=[folder], ports=range(21000, 21999))
print(driver.isolation)
command = f"id -u; test -e {folder}/secret && echo readable || echo hidden; mkdir -p a/b && touch a/b/c $TMPDIR/d && echo done"
if "overlay" in driver.isolation:
    command += f"; touch {volume}/here && ls {folder}/volumes | wc -l"
driver.run(ProcessSpec(id="x", app="a", dyno="run.1", command=command, slug="x", env={}, slot=1, one_off=True,
                       volumes=(str(volume),) if "overlay" in driver.isolation else ()))
while driver.observe("a")[0].state != "down":
    time.sleep(0.01)
driver.close()
print("\\n".join(line.text.decode() for line in out if line.source == "app"))
"""
