"""Speaking with a running HAProxy over its sockets: commands to the worker, and to the master for a new one."""

import re
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from core.errors import EngineError

TIMEOUT = 10.0  # seconds for one answer
RELOAD_SECONDS = 30.0
LARGEST = 24 * 1024  # bytes of commands at a time; HAProxy reads no more than its buffer at once


class Away(EngineError):
    """HAProxy does not run. It will start from the files."""


class Runtime:
    """The command line of the HAProxy whose sockets these are."""

    def __init__(self, worker: Path, master: Path) -> None:
        self.worker, self.master = worker, master

    def ask(self, command: str) -> str:
        """What the worker answers to one command, which may carry a payload. `Away` when none listens."""
        return _talk(self.worker, command)

    def tell(self, commands: Sequence[str]) -> list[str]:
        """Give commands to the worker, in order. Returns what it answered to each."""
        answers: list[str] = []
        batch: list[str] = []
        for command in commands:
            if batch and sum(map(len, batch)) + len(command) > LARGEST:
                answers += self._batch(batch)
                batch = []
            batch.append(command)
        return answers + self._batch(batch)

    def _batch(self, commands: list[str]) -> list[str]:
        if not commands:
            return []
        if len(commands) == 1:
            return [self.ask(commands[0]).strip()]
        # Each answer ends in an empty line; so may be told apart only where each is one line.
        with _connect(self.worker) as sock:
            sock.sendall(b"prompt\n")
            _until_prompt(sock)
            answers = []
            for command in commands:
                sock.sendall(_said(command))
                answers.append(_until_prompt(sock).strip())
            return answers

    def info(self) -> dict[str, str]:
        """What the worker says of itself."""
        lines = (line.partition(": ") for line in self.ask("show info").splitlines())
        return {name: value for name, _, value in lines}

    def others(self, command: str) -> list[str]:
        """What each worker that still ends its connections after a reload answers."""
        try:
            found = self._ask_master("show proc").partition("# old workers")[2]
            pids = [line.split()[0] for line in found.splitlines() if "worker" in line and line[:1].isdigit()]
            return [_talk(self.master, f"@!{pid} {command}") for pid in pids]
        except EngineError:
            return []

    def reload(self) -> None:
        """Have a new worker read the files; the old one ends its connections. Waits until the new one has taken over;
        `EngineError` when it does not like the files, and the old one goes on."""
        before = self.info()["Pid"]
        self._ask_master("reload")
        deadline = time.monotonic() + RELOAD_SECONDS
        while time.monotonic() < deadline:
            try:
                if self.info()["Pid"] != before and _talk(self.master, "show proc"):
                    return
            except (EngineError, KeyError):
                pass
            time.sleep(0.01)
        raise EngineError("HAProxy did not take its new configuration; its log says why.")

    def _ask_master(self, command: str) -> str:
        """Ask the master, which hears nothing for a moment while it starts or reloads."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                return _talk(self.master, command)
            except Away:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def _said(command: str) -> bytes:
    """A command as it is sent. One empty line ends a payload; a second one would be a command of its own, with an answer."""
    return f"{command.rstrip()}\n".encode() + (b"\n" if "<<" in command else b"")


def _connect(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(TIMEOUT)
    try:
        sock.connect(str(path))
    except OSError as error:
        sock.close()
        raise Away(f"HAProxy does not listen on {path}.") from error
    return sock


def _talk(path: Path, command: str) -> str:
    with _connect(path) as sock:
        try:
            sock.sendall(_said(command))
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while data := sock.recv(65536):
                answer += data
        except OSError as error:
            raise EngineError(f"HAProxy did not answer on {path}: {error}.") from error
    return answer.decode(errors="replace")


def _until_prompt(sock: socket.socket) -> str:
    """What is said until HAProxy waits for a command again. While it takes a payload it says `+ ` for each line of it."""
    answer = b""
    while not answer.endswith(b"\n> ") and answer != b"> ":
        try:
            data = sock.recv(65536)
        except OSError as error:
            raise EngineError(f"HAProxy did not answer: {error}.") from error
        if not data:
            raise EngineError("HAProxy broke off in the middle of an answer.")
        answer += data
    return re.sub(rb"^(\+ )+", b"", answer[:-2]).decode(errors="replace")
