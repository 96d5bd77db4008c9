"""Debian's docker-registry, and images small enough to push by hand."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docker import missing
from tests.waiting import eventually

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
NAME, PASSWORD = "slipway", "hush"  # of the registry, where it asks for them
BCRYPT = "$2b$04$/uyW6kUE/3XIcJ1ER4jAfu3cXpqT8pq3tFszzFBttADzGn/oF6Vzu"


class Registry:
    """The registry at `address` (`host:port`), which keeps its images in `folder`; `private` wants NAME and PASSWORD."""

    def __init__(self, address: str, folder: Path, *, private: bool = False) -> None:
        self.address = address
        config = folder / "registry.yml"
        (folder / "users").write_text(f"{NAME}:{BCRYPT}\n")
        auth = f"auth: {{htpasswd: {{realm: images, path: '{folder}/users'}}}}\n" if private else ""
        config.write_text(
            "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: "
            f"{folder}/images}}, delete: {{enabled: true}}}}\nhttp: {{addr: '{address}'}}\n{auth}"
        )
        try:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", str(config)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            missing("docker-registry (apt-get install docker-registry)")
        eventually(self.answers, seconds=20)

    def answers(self) -> bool:
        """Whether it is there, to whomever."""
        done = subprocess.run(
            ["curl", "-s", f"http://{self.address}/v2/"], capture_output=True, check=False, timeout=5
        )
        return done.returncode == 0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@dataclass(frozen=True)
class Image:
    """An image of one layer."""

    layer: bytes
    config: bytes
    manifest: bytes

    @property
    def id(self) -> str:
        return digest_of(self.config)


def make_image(text: str = "hello", *, cmd: Sequence[str] = ("/bin/sh", "-c", "./serve")) -> Image:
    """An image with one file in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("hello.txt")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    layer = out.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": list(cmd)},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _part("application/vnd.docker.container.image.v1+json", config),
        "layers": [_part("application/vnd.docker.image.rootfs.diff.tar", layer)],
    }
    return Image(layer, config, json.dumps(manifest).encode())


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _part(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "size": len(data), "digest": digest_of(data)}
