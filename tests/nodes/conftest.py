"""Three engines and a registry that all of them reach, and a conductor over them."""

import subprocess
from pathlib import Path

import pytest

from tests.docker import find, missing
from tests.ports import free_port
from tests.rig import Rig, can_rig
from tests.waiting import eventually


class Registry:
    """Debian's docker-registry, on the bridge of a rig."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.address = f"{rig.net}.1:{free_port()}"
        config = folder / "registry.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: "
            f"{folder}/images}}, delete: {{enabled: true}}}}\nhttp: {{addr: '{self.address}'}}\n"
        )
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def answers(self) -> bool:
        done = subprocess.run(
            ["curl", "-sf", f"http://{self.address}/v2/"], capture_output=True, check=False, timeout=5
        )
        return done.returncode == 0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module")
def rig():
    can_rig()
    made = Rig()
    try:
        yield made.start(find().stack)
    finally:
        made.stop()


@pytest.fixture(scope="module")
def registry(rig, tmp_path_factory):
    try:
        found = Registry(rig, tmp_path_factory.mktemp("registry"))
    except FileNotFoundError:
        missing("docker-registry (apt-get install docker-registry)")
    eventually(found.answers, seconds=20)
    yield found
    found.stop()
