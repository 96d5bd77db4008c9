"""A certificate authority of our own that speaks ACME: Pebble, with a name server that sends all names to this machine."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from engine.tls import LocalCA
from tests.ports import free_port


class Pebble:
    """A running one. `url` is its directory, `trust` the file of what vouches for its own https."""

    def __init__(self, folder: Path, http_port: int) -> None:
        if shutil.which("pebble") is None:
            assert not os.environ.get("CI"), "Pebble is not installed: apt-get install pebble"
            pytest.skip("Pebble is not installed: apt-get install pebble")
        ca = LocalCA(folder / "tls")
        pem = folder / "pebble.pem"
        pem.write_text(ca.pem(["localhost"]))
        self.port, self.names, management = free_port(), free_port(), free_port()
        config = {
            "pebble": {
                "listenAddress": f"127.0.0.1:{self.port}",
                "managementListenAddress": f"127.0.0.1:{management}",
                "certificate": str(pem),
                "privateKey": str(pem),
                "httpPort": http_port,
                "tlsPort": free_port(),
            }
        }
        (folder / "pebble.json").write_text(json.dumps(config))
        self.url, self.trust = f"https://localhost:{self.port}/dir", ca.certificate
        self._log = (folder / "pebble.log").open("wb")
        names = ["-dns01", f"127.0.0.1:{self.names}", "-management", f"127.0.0.1:{free_port()}"]
        others = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]
        self._processes = [
            self._spawn(["pebble-challtestsrv", *names, *others, "-defaultIPv4", "127.0.0.1"]),
            self._spawn(
                ["pebble", "-config", folder / "pebble.json", "-dnsserver", f"127.0.0.1:{self.names}"]
            ),
        ]
        self._wait()

    def _spawn(self, command: list[object]) -> "subprocess.Popen[bytes]":
        environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        return subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert all(each.poll() is None for each in self._processes), Path(self._log.name).read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        raise AssertionError(Path(self._log.name).read_text())

    def stop(self) -> None:
        """End it."""
        for process in self._processes:
            process.terminate()
            process.wait(10)
        self._log.close()
