"""A disk that fills up under a running platform: what runs goes on, what can't be saved is refused in words, nothing is
lost or half made, and all comes right once there is room."""

import os
import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.conftest import eventually
from tests.platform.harness import Platform, commit, repository

pytestmark = pytest.mark.platform
CHATTY = (
    "import http.server, os, threading, time\n"
    "def chat():\n"
    "    while True:\n"
    "        print('x' * 1000, flush=True)\n"
    "        time.sleep(0.05)\n"
    "if os.environ.get('CHATTY'):\n"
    "    threading.Thread(target=chat, daemon=True).start()\n"
    "port = int(os.environ['PORT'])\n"
    "http.server.ThreadingHTTPServer(('', port), http.server.SimpleHTTPRequestHandler).serve_forever()\n"
)
FILES = {"Procfile": "web: python3 app.py\n", "app__py": CHATTY, "index__html": "still here"}


class Disk:
    """A small disk, and a file on it that takes all the room."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hog = folder, folder / "hog"

    def fill(self) -> None:
        with self.hog.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(64 * 1024))

    def clear(self) -> None:
        self.hog.unlink()


@pytest.fixture
def disk():
    folder = Path(tempfile.mkdtemp(prefix="slipway-small-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        why = f"a disk of one's own takes root and mount: {done.stderr.strip()}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def platform(disk):
    instance = Platform(disk.folder / "data")
    instance.output = Path(f"{disk.folder}.log")  # not on the small disk
    instance.start().sign_up()
    yield instance
    instance.stop()
    instance.output.unlink()


def refusal(platform, method, path, body) -> str:
    told = platform.api(method, path, body, status=507)
    assert told["id"] == "disk_full"
    return told["message"]


def sign_in(platform) -> tuple[int, str]:
    page = platform.http("GET", "/sign-in/")[1]
    csrf = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    form = {"csrfmiddlewaretoken": csrf, "email": "alice@example.com", "password": "a fine long password"}
    headers = {
        "Cookie": platform.headers["Set-Cookie"].split(";")[0],
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return platform.http("POST", "/sign-in/", urlencode(form), headers=headers)


def test_a_full_disk_loses_nothing_and_stops_nothing_that_runs(platform, disk, tmp_path):
    code = repository(tmp_path / "code", **FILES)
    platform.app("shop")
    platform.api("PATCH", "/apps/shop/config-vars", {"CHATTY": "1"})
    platform.push(code, "shop")
    eventually(lambda: "xxx" in platform.log("shop", 20), seconds=60)
    eventually(lambda: platform.api("GET", "/apps/shop/releases")[-1]["current"], seconds=60)
    before = platform.api("GET", "/apps/shop/releases")

    disk.fill()
    eventually(lambda: "The disk is full" in platform.text(), seconds=60)  # its conductor has met it
    assert "Try again once" in refusal(platform, "PATCH", "/apps/shop/config-vars", {"LOST": "no"})
    assert "The disk of this Slipway is full" in refusal(platform, "POST", "/apps", {"name": "other"})
    status, page = sign_in(platform)
    assert status == 507 and "The disk of this Slipway is full" in page
    pushed = platform.push(commit(code, index__html="newer"), "shop", check=False)
    assert pushed.returncode != 0 and "The disk of this Slipway is full" in pushed.stderr
    assert platform.get("shop") == (200, "still here")
    assert platform.api("GET", "/apps/shop/releases") == before
    assert "Traceback" not in platform.text()
    assert platform.text().count("The disk is full") < 10

    disk.clear()
    platform.push(code, "shop")
    eventually(lambda: platform.get("shop") == (200, "newer"), seconds=60)
    assert "LOST" not in platform.api("GET", "/apps/shop/config-vars")
    eventually(lambda: "xxx" in platform.log("shop", 20), seconds=60)
    assert [app["name"] for app in platform.api("GET", "/apps")] == ["shop"]

    platform.stop()
    disk.fill()
    started = platform.manage("up", check=False)
    assert started.returncode == 1 and "is full: make room, then start again" in started.stderr
    assert "Traceback" not in started.stderr
