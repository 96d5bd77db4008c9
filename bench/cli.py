"""What the Heroku CLI's `run` costs beside its own start, and what an API call costs while logs are being read.

    python -m bench.cli [--only run|readers] [--rounds 9] [--readers 100] [--calls 120]

`heroku run true` is timed from its start to its exit, in turns with its floor: the start of the CLI alone (`heroku
version`, which asks nobody) and the same process by hand, in bash at a terminal. The platform's own part of that (order,
meeting, process, end) is timed without the CLI too. Then a `GET /apps/<app>` over HTTP, in turns with nobody reading and
with `--readers` log sessions of that app open, which is quiet first and then writes ten lines a second.
Targets: run at most 1.3 times its floor; a call at most 2 times as long as with no session open. Ends with 1 if one is missed.
"""

import argparse
import multiprocessing
import os
import pty
import re
import selectors
import shutil
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from tests.cli.terminal import Shell, install
from tests.platform.harness import Platform, repository

APP = "bench-cli"
FILES = {
    "Procfile": "web: python -m http.server $PORT\nchatty: while echo a line of a log; do sleep 0.1; done\n",
    "requirements.txt": "",
}
RUN_TARGET, CALL_TARGET = 1.3, 2.0
context = multiprocessing.get_context("fork")


def main() -> int:
    """Print the figures of both; 1 when a target is missed."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--only", choices=["run", "readers"])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--readers", type=int, default=100)
    options.add_argument("--calls", type=int, default=120)
    asked = options.parse_args()
    program = install()
    if isinstance(program, str):
        sys.exit(program)
    folder = Path(tempfile.mkdtemp(prefix="slipway-bench-"))
    folder.chmod(0o755)
    platform = Platform(folder / "data")
    try:
        platform.start()
        platform.sign_up()
        shell = Shell(platform, folder / "home", program, platform.token)
        deploy(platform, shell)
        print(f"load {os.getloadavg()[0]:.1f}")
        missed = [
            asked.only != "readers" and what_run_costs(platform, shell, asked.rounds),
            asked.only != "run" and what_readers_cost(platform, asked.readers, asked.calls),
        ]
        print(f"load {os.getloadavg()[0]:.1f}")
        return int(any(missed))
    finally:
        platform.stop()
        shutil.rmtree(folder, ignore_errors=True)


def deploy(platform: Platform, shell: Shell) -> None:
    repository(shell.folder, **FILES)
    platform.app(APP)
    platform.push(shell.folder, APP)


# --- heroku run ---------------------------------------------------------------------------------------------------


def what_run_costs(platform: Platform, shell: Shell, rounds: int) -> bool:
    """Print it; whether the target is missed."""
    works: dict[str, Callable[[], None]] = {
        "the CLI's own start (heroku version)": lambda: at_terminal(shell, "heroku", "version"),
        "bash -c true by hand": lambda: at_terminal(shell, "bash", "-c", "true"),
        "heroku whoami, which asks once": lambda: at_terminal(shell, "heroku", "whoami"),
        "heroku run true": lambda: at_terminal(shell, "heroku", "run", "-a", APP, "true"),
        "the same without the CLI": lambda: run_by_api(platform),
    }
    took: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            seconds = timed(work)
            if number:  # the first warms up
                took[name].append(seconds)
    for name, all_of_it in took.items():
        print(f"{name:40} {spread(all_of_it)}")
    start, hand, _, run, _ = took.values()
    return beside(
        "heroku run true", run, [one + two for one, two in zip(start, hand, strict=True)], RUN_TARGET
    )


def at_terminal(shell: Shell, *command: str) -> None:
    """Run it as a person does, at a terminal, until it has ended."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shell.folder)
        os.execvpe(command[0], command, shell.env)
    said = b""
    try:
        while data := os.read(terminal, 65536):
            said += data
    except OSError:  # the end, as a terminal tells it
        pass
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        sys.exit(f"{' '.join(command)} ended with {status}: {said.decode(errors='replace')}")


def run_by_api(platform: Platform) -> None:
    """What `heroku run` asks of the platform, and nothing else."""
    platform.api("GET", "/account")
    made = platform.api("POST", f"/apps/{APP}/dynos", {"command": "true", "attach": True})
    found = re.fullmatch(r"rendezvous://([^:]+):(\d+)/(.+)", made["attach_url"])
    assert found, made
    trust = ssl.create_default_context(cafile=str(platform.data / "tls" / "ca.pem"))
    with (
        socket.create_connection((found[1], int(found[2])), timeout=30) as bare,
        trust.wrap_socket(bare, server_hostname=found[1]) as meeting,
    ):
        meeting.sendall(f"{found[3]}\r\n".encode())
        while meeting.recv(65536):
            pass


# --- an API call while logs are read ------------------------------------------------------------------------------


def what_readers_cost(platform: Platform, readers: int, calls: int) -> bool:
    """Print it; whether the target is missed."""
    missed = []
    for name, dynos in (("of a quiet app", 0), ("of an app that writes 10 lines a second", 1)):
        platform.api("PATCH", f"/apps/{APP}/formation/chatty", {"quantity": dynos})
        none, some = turns(platform, readers, calls)
        print(f"{'GET /apps/<app>, no log session':40} {spread(none)}")
        print(f"{f'with {readers} {name}':40} {spread(some)}")
        missed.append(beside(f"a call with {readers} readers {name}", some, none, CALL_TARGET))
    return any(missed)


def turns(platform: Platform, readers: int, calls: int) -> tuple[list[float], list[float]]:
    """Seconds of each call without readers and with them, six turns of each."""
    none: list[float] = []
    some: list[float] = []
    for _ in range(6):
        none += call(platform, calls // 6)
        with reading(platform, readers):
            some += call(platform, calls // 6)
    return none, some


def call(platform: Platform, times: int) -> list[float]:
    for _ in range(3):
        platform.api("GET", f"/apps/{APP}")
    return [timed(lambda: platform.api("GET", f"/apps/{APP}")) for _ in range(times)]


@contextmanager
def reading(platform: Platform, readers: int) -> Iterator[None]:
    """So many open log sessions, read by a process of its own so that its work is not taken for the platform's; checks at
    the end that all are still open."""
    made = [
        platform.api("POST", f"/apps/{APP}/log-sessions", {"lines": 10, "tail": True}) for _ in range(readers)
    ]
    paths = [one["logplex_url"].partition(str(platform.port))[2] for one in made]
    ours, theirs = context.Pipe()
    process = context.Process(target=read, args=(platform.port, paths, theirs), daemon=True)
    process.start()
    assert ours.recv() == readers
    time.sleep(1)
    try:
        yield
        ours.send(None)
        assert ours.recv() == readers, "a log session has ended"
    finally:
        process.terminate()
        process.join()
        time.sleep(1)  # until the platform has seen that they are gone


def read(port: int, paths: list[str], pipe: Connection) -> None:
    """Open a session at each of `paths`; say how many there are when all have answered, and again when asked."""
    selector = selectors.DefaultSelector()
    for path in paths:
        stream = socket.create_connection(("127.0.0.1", port), timeout=30)
        stream.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        assert b" 200 " in stream.recv(65536).partition(b"\r\n")[0]
        selector.register(stream, selectors.EVENT_READ)
    pipe.send(len(paths))
    still = len(paths)
    while not pipe.poll():
        for key, _ in selector.select(0.1):
            if not key.fileobj.recv(65536):
                selector.unregister(key.fileobj)
                still -= 1
    pipe.recv()
    pipe.send(still)


# --- figures ------------------------------------------------------------------------------------------------------


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def spread(took: Sequence[float]) -> str:
    ms = [one * 1000 for one in took]
    return f"{statistics.median(ms):8.1f} ms median, {min(ms):.1f} best, {max(ms):.1f} worst"


def beside(what: str, ours: Sequence[float], floor: Sequence[float], target: float) -> bool:
    """Print how they compare; whether it is more than `target`."""
    ratio = statistics.median(ours) / statistics.median(floor)
    print(f"→ {what}: {ratio:.2f}x (target {target}x{', missed' if ratio > target else ''})")
    return ratio > target


if __name__ == "__main__":
    sys.exit(main())
