"""The rig of the router's tests with HAProxy in it."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from engine.proxy import Keeper, ProxyRouter, Setup, prepare
from engine.router import LocalRouter
from engine.tally import Tally
from engine.tls import LocalCA
from tests.engine import router_rig
from tests.ports import free_port

HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def demand_haproxy():
    """Skip where HAProxy is not installed; in CI it has to be."""
    if HAPROXY is None:
        assert not os.environ.get("CI"), "HAProxy is not installed: apt-get install haproxy"
        pytest.skip("HAProxy is not installed: apt-get install haproxy")


def spawn(folder):
    """A HAProxy that starts from `folder`."""
    log = (folder.root / "haproxy.log").open("ab")
    command = [HAPROXY, "-W", "-S", f"{folder.master},mode,600", "-f", folder.config, "-f", folder.backends]
    return subprocess.Popen(command, stdout=log, stderr=log)


class ProxyRig(router_rig.Rig):
    """A HAProxy of its own, its lines, and backends that end with it."""

    find_guest = staticmethod(lambda secret: None)

    async def __aenter__(self):
        demand_haproxy()
        self.port, self.secure_port, self.guests_port = free_port(), free_port(), free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="rig")
        root = Path(self.folder.name) / "r"
        self.control = router_rig.Dyno(
            router_rig.says(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontrol")
        )
        path = Path(self.folder.name) / "control.sock"
        self.control_server = await asyncio.start_unix_server(self.control, path)
        self.servers.append(self.control_server)
        self.ca = LocalCA(Path(self.folder.name) / "tls")
        self.wake = self.options.pop("wake", lambda app: None)
        self.path = path
        self.router = ProxyRouter(root, control_hosts={"localhost", "127.0.0.1"})
        setup = Setup(
            http=f"127.0.0.1:{self.port}",
            https=f"127.0.0.1:{self.secure_port}",
            guests=f"127.0.0.1:{self.guests_port}",
            web=(f"unix@{path}",),
            control_hosts=frozenset({"localhost", "127.0.0.1"}),
            limits=self.limits,
            **self.options,
        )
        self.router.port = self.port
        prepare(setup, self.router.folder, default_certificate=self.ca.pem(["localhost", "*.localhost"]))
        self.process = spawn(self.router.folder)
        self.tally = Tally()
        self.keeper = self.keep()
        self.keeper.start()
        await router_rig.until(self.is_up, 20)
        return self

    def keep(self):
        """What a conductor does for it."""
        return Keeper(
            self.router,
            sink=self.sink,
            find_guest=lambda secret: self.find_guest(secret),
            tally=self.tally,
            make_waking=lambda: LocalRouter(
                sink=self.sink,
                control=self.path,
                control_hosts=frozenset(),
                apps_host="localhost",
                limits=self.limits,
                wake=self.wake,
            ),
        )

    def sink(self, stream, lines):
        """Keeps lines."""
        self.lines.extend((stream, line.text.decode()) for line in lines)

    def is_up(self):
        """Whether HAProxy listens."""
        assert self.process.poll() is None, (self.router.folder.root / "haproxy.log").read_text()
        with contextlib.suppress(Exception):
            folder = self.router.folder
            return self.router.runtime.info()["Pid"] and folder.lines.exists() and folder.waking.exists()

    async def __aexit__(self, *_):
        await self.keeper.stop()
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, 10)
        for server in self.servers:
            server.close()
        self.folder.cleanup()
