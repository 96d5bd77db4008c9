"""What every driver must do. A test class of a driver inherits `DriverContract` and gives it a `driver` fixture.

Where a dyno runs decides by which address it listens, where its Python is and what its process numbers mean to us: a
class of a driver says so by the attributes and methods at the top of the contract.
"""

import errno
import itertools
import os
import shlex
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from core.errors import EngineError
from engine.spec import MB, Attach, ProcessSpec, Size
from tests.conftest import eventually

PYTHON = shlex.quote(os.path.realpath(sys.executable))
SERVER = """
import os, socket, sys
server = socket.create_server((sys.argv[1], int(os.environ["PORT"])))
print("listening on", os.environ["PORT"], flush=True)
while True:
    connection, _ = server.accept()
    with connection:
        head = connection.recv(65536)
        if not head:
            continue
        path = head.split()[1].decode()
        ok = path != "/health" or os.path.exists("healthy")
        body = (path + " from " + os.environ["DYNO"]).encode()
        status = "200 OK" if ok else "503 Not Yet"
        connection.sendall(f"HTTP/1.1 {status}\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n".encode() + body)
"""
WEB = f"exec {PYTHON} -IS server.py 127.0.0.1"
_ids = itertools.count(1)


def attach(driver, spec):
    """Our ends of the streams of a dyno, once it has started."""
    return eventually(lambda: driver.attach(spec.id))


def read_all(streams):
    """Everything that an attached dyno writes."""
    os.set_blocking(streams.reader, True)
    said = b""
    while True:
        try:
            data = os.read(streams.reader, 65536)
        except OSError as error:  # what the end of a terminal reads as
            assert error.errno == errno.EIO
            data = b""
        if not data:
            streams.close()
            return said
        said += data


class Recorder:
    """A sink that keeps everything."""

    def __init__(self):
        self.calls = []

    def __call__(self, stream, lines):
        self.calls.append((stream, list(lines)))

    def lines(self, *, source=None, dyno=None, stream=None):
        return [
            line
            for of, lines in tuple(self.calls)
            for line in lines
            if source in (None, line.source) and dyno in (None, line.dyno) and stream in (None, of)
        ]

    def texts(self, **which):
        return [line.text.decode() for line in self.lines(**which)]


class Slugs:
    """Unpacked slugs, plain folders."""

    def __init__(self, root):
        self.root = root

    def make(self, **files):
        digest = f"sha256:{next(_ids):064x}"
        folder = self.path(digest)
        folder.mkdir(parents=True)
        folder.joinpath("server.py").write_text(SERVER)
        for name, text in files.items():
            path = folder / name.replace("__", "/").replace("_sh", ".sh")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return digest

    def path(self, digest):
        return self.root / digest.replace(":", "-")

    def tree(self, digest):
        if not self.path(digest).exists():
            raise EngineError("Error R17 (Checksum error) -> the slug is damaged", permanent=True)
        return self.path(digest)


class DriverContract:
    """Fixtures that a driver's own class may override, and the tests."""

    PYTHON, WEB = PYTHON, WEB
    SECONDS = 10  # within which a dyno comes up

    def is_alive(self, driver, pid):
        """Whether a process runs that a dyno calls by the number `pid`."""
        return alive(pid)

    def has_run(self, driver, state):
        """Whether a one-off dyno's process was there, and is not any more."""
        return state.pid and not alive(state.pid)

    def until(self, driver, wanted, **which):
        return until(driver, wanted, **{"seconds": self.SECONDS, **which})

    def eventually(self, check):
        return eventually(check, self.SECONDS)

    @pytest.fixture
    def lines(self):
        return Recorder()

    @pytest.fixture
    def slugs(self, tmp_path):
        return Slugs(tmp_path / "slugs")

    @pytest.fixture
    def spec(self, slugs):
        """Makes specs: `spec("command", …)`."""
        default = slugs.make()

        def make(command, dyno="worker.1", app="one", **extra):
            values = {"slug": default, "env": {}, "slot": 1, "stop_seconds": 5, **extra}
            return ProcessSpec(id=f"start-{next(_ids)}", app=app, dyno=dyno, command=command, **values)

        return make

    @pytest.fixture
    def web(self, spec):
        def make(command=self.WEB, dyno="web.1", **extra):
            return spec(command, dyno, web=True, **extra)

        return make

    # --- web dynos ----------------------------------------------------------------------------------------------

    def test_a_web_dyno_is_up_once_it_answers(self, driver, web, lines):
        driver.apply("one", [web()])
        state = self.until(driver, "up")
        assert get(state) == "/ from web.1"
        self.eventually(lambda: "State changed from starting to up" in lines.texts())
        texts = lines.texts(stream="app/one", dyno="web.1")
        assert texts[0] == f"Starting process with command `{self.WEB}`"
        assert texts.index(f"listening on {state.port}") > 0

    def test_applying_twice_starts_once(self, driver, web):
        wanted = [web(), web(dyno="web.2")]
        driver.apply("one", wanted)
        driver.apply("one", wanted)
        self.until(driver, "up", number=2)
        driver.apply("one", wanted)
        assert sorted(get(state) for state in driver.observe("one")) == ["/ from web.1", "/ from web.2"]

    def test_what_is_no_longer_wanted_ends(self, driver, web, lines):
        first, second = web(), web(dyno="web.2")
        driver.apply("one", [first, second])
        gone = next(state for state in self.until(driver, "up", number=2) if state.id == first.id)
        driver.apply("one", [second])
        self.eventually(lambda: [state.id for state in driver.observe("one")] == [second.id])
        assert not alive(gone.pid)
        assert "Stopping all processes with SIGTERM" in lines.texts(source="heroku", dyno="web.1")
        assert "Process exited with status 143" in lines.texts(source="heroku", dyno="web.1")

    def test_apps_do_not_touch_each_other(self, driver, web):
        one, two = web(), web(app="two", slot=2)
        driver.apply("one", [one])
        driver.apply("two", [two])
        self.until(driver, "up", app="two")
        driver.apply("one", [])
        self.eventually(lambda: driver.observe("one") == [])
        assert get(self.until(driver, "up", app="two")) == "/ from web.1"
        driver.stop("one", two.id)
        assert [state.state for state in driver.observe("two")] == ["up"]

    @pytest.mark.promise("I-05")
    def test_a_web_dyno_that_never_binds_is_ended(self, driver, web, lines):
        driver.apply("one", [web("exec sleep 100", boot_seconds=0.3)])
        state = self.until(driver, "crashed")
        assert state.reason == (
            "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 0.3 seconds of launch"
        )
        assert not alive(state.pid)
        self.eventually(lambda: state.reason in lines.texts(source="heroku", dyno="web.1"))

    @pytest.mark.promise("I-05")
    def test_a_web_dyno_that_is_not_healthy_is_ended(self, driver, web):
        driver.apply("one", [web(health_path="/health", boot_seconds=0.7)])
        assert "GET /health below 400 (it answered 503)" in self.until(driver, "crashed").reason

    def test_a_web_dyno_is_up_once_it_is_healthy(self, driver, web):
        driver.apply("one", [web(f"touch healthy; {self.WEB}", health_path="/health")])
        assert get(self.until(driver, "up"), "/health") == "/health from web.1"

    @pytest.mark.promise("I-26")
    def test_a_port_that_another_app_squats_on_is_not_taken_for_the_dyno(self, driver, web, spec):
        squat = (
            'import socket,sys,time; s=socket.create_server(("127.0.0.1",int(sys.argv[1]))); time.sleep(100)'
        )
        victim = web("sleep 0.5; exec sleep 100")
        driver.apply("one", [victim])
        port = self.eventually(lambda: driver.observe("one")[0].port)
        driver.run(
            spec(
                f"exec {self.PYTHON} -c '{squat}' {port}",
                "run.1",
                app="two",
                slot=2,
                one_off=True,
                env={"A": "b"},
            )
        )
        state = self.until(driver, "crashed")
        assert state.reason == f"Port {port} is taken by a process that is not this dyno's."

    # --- other dynos --------------------------------------------------------------------------------------------

    def test_a_dyno_without_a_port_is_up_after_a_second(self, driver, spec):
        driver.apply("one", [spec("exec sleep 100")])
        assert self.until(driver, "up").port is None

    @pytest.mark.parametrize("status", [0, 3])
    def test_any_exit_is_a_crash(self, driver, spec, lines, status):
        driver.apply("one", [spec(f"echo bye; exit {status}")])
        state = self.until(driver, "crashed")
        assert (state.exit_code, state.reason) == (status, f"Process exited with status {status}")
        self.eventually(lambda: "State changed from starting to crashed" in lines.texts())
        assert lines.texts()[1:3] == ["bye", f"Process exited with status {status}"]

    def test_a_crashed_dyno_is_seen_until_it_is_not_wanted(self, driver, spec):
        crashing = spec("exit 1")
        driver.apply("one", [crashing])
        self.until(driver, "crashed")
        driver.apply("one", [crashing])
        assert [state.state for state in driver.observe("one")] == ["crashed"]
        driver.apply("one", [])
        self.eventually(lambda: driver.observe("one") == [])

    def test_listeners_hear_of_changes(self, driver, spec):
        heard = []
        driver.on_change(lambda app: heard.append((app, [state.state for state in driver.observe(app)])))
        driver.apply("one", [spec("exit 1")])
        self.eventually(lambda: ("one", ["crashed"]) in heard)
        driver.apply("one", [])
        self.eventually(lambda: heard[-1] == ("one", []))

    def test_a_damaged_slug_is_never_started(self, driver, spec, lines):
        driver.apply("one", [spec("echo started", slug="sha256:gone")])
        assert self.until(driver, "crashed").reason.startswith("Error R17 (Checksum error)")
        assert "started" not in lines.texts()

    # --- one-off dynos ------------------------------------------------------------------------------------------

    def test_a_one_off_dyno_ends_with_its_status(self, driver, spec, lines):
        one_off = spec("echo hello; exit 7", "run.1", one_off=True, stream="release/9")
        assert driver.run(one_off) == one_off.id
        assert driver.run(one_off) == one_off.id
        state = self.until(driver, "down")
        assert state.exit_code == 7
        self.eventually(lambda: "Process exited with status 7" in lines.texts(stream="release/9"))
        assert lines.texts(stream="release/9", source="app") == ["hello"]
        driver.apply("one", [])
        assert [state.id for state in driver.observe("one")] == [one_off.id]
        driver.stop("one", one_off.id)
        self.eventually(lambda: driver.observe("one") == [])

    @pytest.mark.promise("I-03")
    def test_an_attached_dyno_talks_to_who_is_attached(self, driver, spec, lines):
        one = spec(
            "read name; echo hello $name; [ -t 0 ] && [ -t 1 ] && tty; stty size",
            attach=Attach(True, 120, 40),
            one_off=True,
        )
        driver.run(one)
        streams = attach(driver, one)
        os.write(streams.writer, b"world\r")
        said = read_all(streams)
        assert b"hello world\r\n" in said
        assert b"/dev/pts/" in said
        assert b"40 120" in said
        self.eventually(lambda: driver.observe(one.app)[0].state == "down")
        assert driver.observe(one.app)[0].exit_code == 0
        assert "hello world" not in lines.texts()
        assert any("Starting process with command" in text for text in lines.texts(source="heroku"))

    def test_without_a_terminal_input_ends_and_output_is_as_written(self, driver, spec):
        one = spec("wc -c; echo oops >&2; exit 3", attach=Attach(tty=False), one_off=True)
        driver.run(one)
        streams = attach(driver, one)
        os.write(streams.writer, b"a\x00b\n")
        streams.end_input()
        assert read_all(streams) == b"4\noops\n"
        self.eventually(lambda: driver.observe(one.app)[0].state == "down")
        assert driver.observe(one.app)[0].exit_code == 3

    def test_what_an_attached_dyno_wrote_before_it_ended_is_not_lost(self, driver, spec):
        one = spec("echo early", attach=Attach(tty=False), one_off=True)
        driver.run(one)
        self.eventually(lambda: self.has_run(driver, driver.observe(one.app)[0]))
        assert read_all(attach(driver, one)) == b"early\n"
        self.eventually(lambda: driver.observe(one.app)[0].state == "down")

    def test_only_one_can_attach(self, driver, spec):
        one = spec("sleep 60", attach=Attach(), one_off=True)
        driver.run(one)
        attach(driver, one).close()
        assert driver.attach(one.id) is None
        assert driver.attach("unknown") is None

    def test_hanging_up_ends_what_runs_in_the_terminal(self, driver, spec):
        one = spec("cat", attach=Attach(), one_off=True)
        driver.run(one)
        attach(driver, one).close()
        self.eventually(lambda: driver.observe(one.app)[0].state == "down")

    def test_a_one_off_dyno_past_its_time_is_ended(self, driver, spec):
        driver.run(spec("exec sleep 100", "release.1", one_off=True, seconds=0.3))
        state = self.until(driver, "down")
        assert state.exit_code == 137
        assert state.reason == "Stopped: it ran for longer than 0.3 seconds."

    # --- output -------------------------------------------------------------------------------------------------

    def test_all_lines_come_in_order(self, driver, spec, lines):
        driver.run(spec("seq 100000", "run.1", one_off=True))
        self.until(driver, "down", seconds=20)
        self.eventually(lambda: "Process exited with status 0" in lines.texts(source="heroku"))
        assert lines.texts(source="app") == [str(n) for n in range(1, 100_001)]

    def test_long_lines_are_cut_and_the_last_needs_no_newline(self, driver, spec, lines):
        driver.run(spec("head -c 25000 /dev/zero | tr '\\0' x; echo; printf end", "run.1", one_off=True))
        self.until(driver, "down")
        self.eventually(lambda: "Process exited with status 0" in lines.texts(source="heroku"))
        assert [len(line.text) for line in lines.lines(source="app")] == [10_000, 10_000, 5_000, 3]

    @pytest.mark.promise("I-24")
    def test_output_cannot_forge_a_source(self, driver, spec, lines):
        forged = "2026-01-01T00:00:00+00:00 heroku[router]: at=info\\r\\033[2K\\0<b>"
        driver.run(spec(f"printf '{forged}\\n'", "run.1", one_off=True))
        self.eventually(lambda: lines.lines(source="app"))
        (line,) = lines.lines(source="app")
        assert (line.source, line.dyno) == ("app", "run.1")
        assert line.text == b"2026-01-01T00:00:00+00:00 heroku[router]: at=info\r\033[2K\0<b>"

    # --- what a dyno gets ---------------------------------------------------------------------------------------

    @pytest.mark.promise("I-09")
    @pytest.mark.promise("I-12")
    def test_the_environment_is_the_config_and_nothing_of_the_platform(self, driver, web, lines, monkeypatch):
        monkeypatch.setenv("SLIPWAY_SECRET_KEY", "of the platform")
        config = {
            "GREETING": "hi “you”\nand $HOME `id` \\ '\"",
            "EMPTY": "",
            "PATH": "/opt/bin:/usr/bin:/bin",
            "PORT": "1",
            "DYNO": "fake",
            "LD_PRELOAD": "",
        }
        one = web("env -0 | tr '\\n\\0' '~\\n'; echo done", env=config)
        driver.apply("one", [one])
        self.until(driver, "crashed")
        self.eventually(lambda: "done" in lines.texts())
        found = dict(text.split("=", 1) for text in lines.texts(source="app") if "=" in text)
        for name in ("PWD", "SHLVL", "_"):  # bash adds them
            found.pop(name)
        port = driver.observe("one")[0].port
        own = {"DYNO": "web.1", "PORT": str(port), "LANG": "C.UTF-8", "SLIPWAY_DYNO": one.id}
        assert {name: found.pop(name) for name in own} == own
        assert set(found) - set(config) == {"HOME", "TMPDIR", "SLIPWAY_INSTANCE"}
        for name in ("GREETING", "EMPTY", "PATH", "LD_PRELOAD"):
            assert found[name] == config[name].replace("\n", "~")

    def test_profile_scripts_are_sourced(self, driver, spec, slugs, lines):
        slug = slugs.make(**{".profile.d__a_sh": "export A=1", ".profile.d__b_sh": 'export B="$A-$HOME"'})
        driver.run(
            spec('echo "$A $B" && cat server.py | head -n 2', "run.1", slug=slug, one_off=True, env={})
        )
        self.eventually(lambda: len(lines.texts(source="app")) == 3)
        assert lines.texts(source="app")[0].startswith("1 1-/")

    @pytest.mark.parametrize("path", ["bin:/usr/bin:/bin", "/tmp:/usr/bin:/bin", ""])
    def test_the_path_is_whatever_an_app_wants(self, driver, spec, lines, path):
        driver.run(spec('echo "found $PATH"', "run.1", one_off=True, env={"PATH": path}))
        self.eventually(lambda: f"found {path}" in lines.texts(source="app"))

    @pytest.mark.promise("I-37")
    def test_config_is_not_in_the_process_list(self, driver, web):
        driver.apply("one", [web(env={"SECRET": "hunter2-hunter2"})])
        self.until(driver, "up")
        shown = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
        assert any(b"server.py" in text for text in shown)
        assert not any(b"hunter2-hunter2" in text for text in shown)

    def test_no_descriptor_of_the_platform_is_left_open(self, driver, spec, lines, tmp_path):
        with open(tmp_path / "secret", "w") as file:
            os.set_inheritable(file.fileno(), True)
            driver.run(spec("ls -l /proc/self/fd; cat; echo eof", "run.1", one_off=True))
            self.eventually(lambda: "eof" in lines.texts())
        links = [text.split(" -> ")[1] for text in lines.texts() if " -> " in text]
        assert links[0] == "/dev/null"
        assert links[1] == links[2]
        assert links[1].startswith("pipe:")
        assert links[3].startswith("/proc/")
        assert len(links) == 4

    def test_each_dyno_writes_to_a_home_of_its_own(self, driver, spec, slugs, lines):
        slug = slugs.make(kept="as it was", sub__file="below")
        before = snapshot(slugs.path(slug))
        write = "echo $DYNO > kept; echo $DYNO >> sub/file; rm server.py; mkdir new; touch new/x; cat kept; touch $TMPDIR/x"
        driver.apply("one", [spec(write + "; exec sleep 100", f"worker.{n}", slug=slug) for n in (1, 2)])
        self.eventually(lambda: sorted(lines.texts(source="app")) == ["worker.1", "worker.2"])
        assert snapshot(slugs.path(slug)) == before
        driver.run(spec("cat kept; echo; ls; ls $TMPDIR", "run.1", slug=slug, one_off=True))
        self.eventually(lambda: "Process exited with status 0" in lines.texts(dyno="run.1"))
        assert lines.texts(source="app", dyno="run.1") == ["as it was", "kept", "server.py", "sub"]

    # --- the end ------------------------------------------------------------------------------------------------

    @pytest.mark.promise("I-20")
    def test_all_processes_get_sigterm_and_time_to_finish(self, driver, spec, lines):
        child = "trap 'echo child ends; exit' TERM; echo ready; while :; do sleep 0.05; done"
        wanted = spec(f'(setsid bash -c "{child}" &) ; exec sleep 100')
        driver.apply("one", [wanted])
        self.eventually(lambda: "ready" in lines.texts())
        driver.stop("one", wanted.id)
        self.eventually(lambda: driver.observe("one") == [])
        assert "child ends" in lines.texts()
        assert not [text for text in lines.texts() if "R12" in text]

    @pytest.mark.promise("I-20")
    def test_a_stubborn_dyno_is_killed_after_its_time(self, driver, spec, lines):
        wanted = spec("trap '' TERM; echo ready; while :; do sleep 0.05; done", stop_seconds=0.4)
        driver.apply("one", [wanted])
        self.eventually(lambda: "ready" in lines.texts())
        pid = driver.observe("one")[0].pid
        driver.apply("one", [])
        self.eventually(lambda: driver.observe("one") == [])
        assert not alive(pid)
        texts = lines.texts(source="heroku")
        assert texts[-3:] == [
            "Error R12 (Exit timeout) -> At least one process failed to exit within 0.4 seconds of SIGTERM",
            "Stopping remaining processes with SIGKILL",
            "Process exited with status 137",
        ]

    @pytest.mark.promise("I-19")
    def test_a_daemon_dies_with_its_dyno(self, driver, spec, lines):
        daemon = 'setsid -f sh -c "echo \\$\\$ >$f; exec sleep 1000" </dev/null >/dev/null 2>&1'
        told = f"f=$(mktemp); {daemon}; until [ -s $f ]; do :; done; cat $f"
        driver.run(spec(told, "run.1", one_off=True))
        self.eventually(lambda: lines.texts(source="app"))
        pid = int(lines.texts(source="app")[0])
        self.until(driver, "down")
        self.eventually(lambda: not self.is_alive(driver, pid))

    def test_a_dyno_that_is_still_being_prepared_can_be_stopped(self, driver, web, lines):
        driver.apply("one", [web() for _ in range(5)])
        driver.apply("one", [])
        self.eventually(lambda: driver.observe("one") == [])

    def test_closing_ends_everything(self, driver, web, spec):
        driver.apply("one", [web()])
        driver.run(spec("exec sleep 100", "run.1", one_off=True))
        pids = [state.pid for state in self.until(driver, "up", number=2)]
        driver.close()
        assert not [pid for pid in pids if alive(pid)]
        assert driver.observe("one") == []
        with pytest.raises(EngineError, match="closed"):
            driver.apply("one", [])


SMALL = Size(memory=32 * MB, cpu_shares=512, pids=20)


def until(driver, wanted, *, app="one", number=1, seconds=10):
    """Wait until `number` dynos of `app` are in the state `wanted`; one is returned alone."""

    def reached():
        states = [state for state in driver.observe(app) if state.state == wanted]
        return states if len(states) == number else None

    states = eventually(reached, seconds)
    return states[0] if number == 1 else states


def get(state, path="/"):
    with urllib.request.urlopen(f"http://{state.host}:{state.port}{path}", timeout=5) as answer:
        return answer.read().decode()


def alive(pid):
    """Whether a process still runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def snapshot(folder):
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mode,
            path.stat().st_uid,
            path.is_file() and path.read_text(),
        )
        for path in sorted(folder.rglob("*"))
    }
