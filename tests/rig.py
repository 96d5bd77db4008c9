"""Three Docker engines on one machine, each in a network namespace of its own, joined by a bridge: a Swarm whose nodes can
be lost. Needs root. Everything is named after the rig and goes with it."""

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.docker import missing
from tests.waiting import eventually

NODES = 3
RIGS = itertools.count(os.getpid())


def call(*command: str, check: bool = True, **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


@dataclass
class Node:
    """One engine: its namespace, its address on the bridge, and its process."""

    name: str
    address: str
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def docker(self, *words: str, check: bool = True, **options: Any) -> str:
        """Run the docker command against this engine."""
        return call("docker", "-H", self.url, *words, check=check, **options)

    def use_for(self, availability: str) -> None:
        """What the Swarm may have it do: `active`, `pause`, `drain`. Of a manager only."""
        own = self.docker("info", "--format", "{{.Swarm.NodeID}}")
        self.docker("node", "update", "--availability", availability, own)

    def start(self) -> None:
        """Start the engine. Its mounts are its own: /run, and images in memory, so that both vanish with it. An engine
        that ends without them is started again."""
        hosts = self.folder / "hosts"  # a machine knows its own name, which servers look up
        hosts.write_text(f"127.0.0.1 localhost {self.name}\n")
        script = (
            f"hostname {self.name} && mount --bind {hosts} /etc/hosts && mount -t tmpfs tmpfs /run && mkdir -p /run/lock {self.folder}/data && "
            f"mount -t tmpfs -o size=4g tmpfs {self.folder}/data && "
            f"while :; do dockerd --data-root {self.folder}/data --exec-root {self.folder}/exec "
            f"--pidfile {self.folder}/pid -H unix://{self.folder}/docker.sock -H unix:///run/docker.sock --cgroup-parent /{self.name} "
            f"--insecure-registry 10.0.0.0/8 --default-address-pool base=10.{self._pool()}.0.0/16,size=24 "
            f"--bip {self._bip()} --log-level warn; done"
        )
        command = ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "-m", "-u", "sh", "-c", script]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        eventually(lambda: self._answers() or self.process.poll() is not None, seconds=60, every=0.2)
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]

    def restart(self) -> None:
        """End the engine as its operator does. It starts again by itself; its containers do not."""
        before = (self.folder / "pid").read_text()
        os.kill(int(before), signal.SIGTERM)
        eventually(lambda: self._pid() not in ("", before) and self._answers(), seconds=60, every=0.1)

    def _pid(self) -> str:
        file = self.folder / "pid"
        return file.read_text() if file.exists() else ""

    def lose(self) -> None:
        """Pull the plug: the engine and all that ran on it are gone at once, and so is the way there."""
        call("ip", "-n", self.name, "link", "set", "eth0", "down", check=False)
        self.kill()

    def kill(self) -> None:
        """End the engine and its containers, by the namespace that they all are in, and the cgroup."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def clear(self) -> None:
        """Unmount and delete what the engine left."""
        self.kill()
        eventually(lambda: self.kill() or not self._processes(), seconds=10, every=0.2)
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            place = line.split()[1]
            if place.startswith(str(self.folder)):
                call("umount", "-l", place, check=False)
        call("ip", "netns", "del", self.name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        return bool(self.docker("version", "--format", "{{.Server.Version}}", check=False))

    def _pool(self) -> int:
        return 200 + int(self.address.rpartition(".")[2]) % 50

    def _bip(self) -> str:
        return f"10.{self._pool()}.255.1/24"

    def _processes(self) -> list[int]:
        """Whatever runs in the engine's folder: its containerd, the shims, and what they hold."""
        found, marked = [], str(self.folder).encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ours = f"/{self.name}/" in (entry / "cgroup").read_text()
                if ours or marked in (entry / "cmdline").read_bytes().replace(b"\0", b" "):
                    found.append(int(entry.name))
        return [pid for pid in found if pid != os.getpid()]


class Rig:
    """The nodes and the bridge. The first node manages the Swarm."""

    def __init__(self, count: int = NODES) -> None:
        number = 100 + next(RIGS) % 100
        self.tag = f"rig{secrets.token_hex(2)}"
        self.bridge, self.net = f"br-{self.tag}", f"10.{number}.0"
        self.folder = Path(tempfile.mkdtemp(prefix="slipway-rig-"))
        self.nodes = [
            Node(f"{self.tag}-{n}", f"{self.net}.{10 + n}", self.folder / str(n)) for n in range(count)
        ]

    def start(self, *images: str) -> "Rig":
        """Have the engines run as one Swarm, with these images of the machine's own engine."""
        self._join_networks()
        for node in self.nodes:
            node.folder.mkdir()
            node.start()
        for image in images:
            self._load(image)
        first, *others = self.nodes
        first.docker("swarm", "init", "--advertise-addr", first.address, "--listen-addr", first.address)
        token = first.docker("swarm", "join-token", "-q", "worker")
        for node in others:
            node.docker(
                "swarm", "join", "--token", token, "--advertise-addr", node.address, f"{first.address}:2377"
            )
        return self

    def stop(self) -> None:
        """Remove all of it."""
        for node in self.nodes:
            node.clear()
        self._rules("-D")
        call("ip", "link", "del", self.bridge, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _join_networks(self) -> None:
        call("ip", "link", "add", self.bridge, "type", "bridge")
        call("ip", "addr", "add", f"{self.net}.1/24", "dev", self.bridge)
        call("ip", "link", "set", self.bridge, "up")
        self._rules("-I")
        for n, node in enumerate(self.nodes):
            here, there = f"v{self.tag}{n}", f"w{self.tag}{n}"
            call("ip", "netns", "add", node.name)
            call("ip", "link", "add", here, "type", "veth", "peer", "name", there)
            call("ip", "link", "set", here, "master", self.bridge, "up")
            call("ip", "link", "set", there, "netns", node.name, "name", "eth0")
            call("ip", "-n", node.name, "addr", "add", f"{node.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                call("ip", "-n", node.name, "link", "set", device, "up")
            call("ip", "-n", node.name, "route", "add", "default", "via", f"{self.net}.1")

    def _rules(self, change: str) -> None:
        """The machine's own engine forwards nothing that it does not know."""
        chain = "DOCKER-USER" if "DOCKER-USER" in call("iptables", "-S", check=False) else "FORWARD"
        for side in ("-i", "-o"):
            call("iptables", change, chain, side, self.bridge, "-j", "ACCEPT", check=change == "-I")

    def _load(self, image: str) -> None:
        archive = self.folder / "image.tar"
        call("docker", "save", "-o", str(archive), image)
        loading = [
            subprocess.Popen(
                ["docker", "-H", node.url, "load", "-q", "-i", str(archive)], stdout=subprocess.DEVNULL
            )
            for node in self.nodes
        ]
        assert [each.wait() for each in loading] == [0] * len(self.nodes)
        archive.unlink()


def can_rig() -> None:
    """End the test where no rig can be built."""
    if os.geteuid() != 0:
        missing("root, to build network namespaces")
    for program in ("dockerd", "nsenter", "ip", "iptables"):
        if not shutil.which(program):
            missing(f"{program} (apt-get install docker.io iproute2 iptables)")
