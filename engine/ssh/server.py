"""The SSH server: one address, one thread with a loop of its own.

Only public keys that a `Door` knows open anything, each under the user name that came with it. There are no passwords, no
agents, no X11, and no listening for others. The library is loaded when the first client comes.
"""

import asyncio
import contextlib
import json
import logging
import socket
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.ssh.door import Door
from engine.ssh.host_key import HostKey
from engine.ssh.limits import Limits

if TYPE_CHECKING:
    import asyncssh

log = logging.getLogger(__name__)
LOGIN_SECONDS = 15.0
BACKLOG = 128
LOOK_SECONDS = 1.0  # between looks whether to listen
ALIVE_SECONDS = 30.0
STOP_SECONDS = 5.0
THREADS = 32


class Server:
    """Listens at `address` (host, port) while `serves()` says so, and notes in the file `state` whether it does: `host` is
    what clients are told. `folder` is for what it keeps for a while."""

    def __init__(
        self,
        door: Door,
        key: HostKey,
        *,
        address: tuple[str, int],
        host: str,
        state: Path,
        folder: Path,
        serves: Callable[[], bool] = lambda: True,
    ) -> None:
        self._door, self._key, self._address, self._host = door, key, address, host
        self._state, self._folder, self._serves = state, folder, serves
        self._limits = Limits()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="ssh", daemon=True)
        self.port = 0  # where it listens, once it does

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Close every connection, and end. May be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)

    # --- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(ThreadPoolExecutor(THREADS, "ssh"))
        try:
            self._loop.run_until_complete(self._keep())
        except Exception:
            log.exception("The SSH server has ended")
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _keep(self) -> None:
        listening: asyncio.Task[None] | None = None
        while not self._stopping.is_set():
            serves = self._serves()
            if serves and listening is None:
                sock = self._bind()
                listening = asyncio.create_task(self._listen(sock)) if sock else None
            elif listening and (listening.done() or not serves):
                await _end(listening)
                listening = None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), LOOK_SECONDS)
        if listening:
            self._state.unlink(missing_ok=True)  # before another can listen, and say so
            await _end(listening)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:  # sessions, which end with their connections
            await asyncio.wait(others, timeout=STOP_SECONDS)

    def _bind(self) -> socket.socket | None:
        host, port = self._address
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
            sock.listen(BACKLOG)
        except (OSError, OverflowError) as error:
            sock.close()
            self._tell("", f"{host}:{port} can't be listened at: {getattr(error, 'strerror', None) or error}")
            return None
        sock.setblocking(False)
        self.port = sock.getsockname()[1]
        self._tell(self._host, "")
        return sock

    def _tell(self, host: str, why: str) -> None:
        text = json.dumps({"host": host, "why": why})
        if not self._state.exists() or self._state.read_text() != text:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._state.parent, delete=False) as file:
                file.write(text)
            Path(file.name).rename(self._state)

    async def _listen(self, sock: socket.socket) -> None:
        with sock:
            await self._somebody_comes(sock)
            asyncssh = await asyncio.to_thread(_library)
            acceptor = await asyncssh.listen(sock=sock, options=self._options(asyncssh))
            try:
                await asyncio.Event().wait()
            finally:
                acceptor.close()
                self._limits.end_all()

    async def _somebody_comes(self, sock: socket.socket) -> None:
        came = asyncio.Event()
        self._loop.add_reader(sock, came.set)
        try:
            await came.wait()
        finally:
            self._loop.remove_reader(sock)

    def _options(self, asyncssh: Any) -> "asyncssh.SSHServerConnectionOptions":
        from engine.ssh.connection import Connection, open_files, open_session

        options: asyncssh.SSHServerConnectionOptions = asyncssh.SSHServerConnectionOptions(
            server_factory=partial(Connection, self._door, self._limits),
            server_host_keys=[asyncssh.read_private_key(str(self._key.private))],
            process_factory=open_session,
            sftp_factory=partial(open_files, self._folder),
            sftp_version=3,
            allow_scp=False,
            encoding=None,
            line_editor=False,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            agent_forwarding=False,
            x11_forwarding=False,
            compression_algs=["none"],
            login_timeout=LOGIN_SECONDS,
            keepalive_interval=ALIVE_SECONDS,
            server_version="Slipway",
        )
        return options


def _library() -> Any:
    import asyncssh

    asyncssh.set_log_level(logging.ERROR)  # who comes and goes is in the activity
    return asyncssh


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
