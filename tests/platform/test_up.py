"""Starting and stopping: what a newcomer and an operator see."""

import json
import os
import re
import signal
import socket
import stat
import time

import pytest

from tests.conftest import eventually
from tests.platform.harness import repository, wait_gone

pytestmark = pytest.mark.platform
FILES = {"Procfile": "web: python3 -m http.server $PORT\n", "index__html": "hello from a dyno"}


def dyno_pids(platform) -> list[int]:
    """The processes that carry this instance's dynos, by what the platform itself says."""
    rows = json.loads(platform.manage("ps", "--json").stdout)
    return [row["pid"] for row in rows if row["role"] == "dyno"]


@pytest.mark.promise("I-34")
def test_the_first_account_comes_from_the_printed_link_only(fresh):
    platform = fresh().start()
    # It is printed a moment after the platform says that it is up.
    link = eventually(lambda: re.search(r"(/setup/[^/\s]+/)", platform.text()))[1]
    assert stat.S_IMODE(os.stat(platform.data / "keys.env").st_mode) == 0o600
    assert platform.http("GET", "/setup/guessed/")[0] == 404
    status, page = platform.http("GET", link)
    assert status == 200
    answer = sign_up_with(platform, link, page)
    assert answer in (302, 303)
    assert sign_up_with(platform, link, page) in (403, 404)
    platform.stop()
    mark = len(platform.text())
    platform.start()
    assert "/setup/" not in platform.text()[mark:]


def sign_up_with(platform, link: str, page: str) -> int:
    from urllib.parse import urlencode

    csrf = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    cookie = getattr(platform, "cookie", None) or platform.headers["Set-Cookie"].split(";")[0]
    platform.cookie = cookie
    form = {
        "csrfmiddlewaretoken": csrf,
        "email": "first@example.com",
        "name": "First",
        "password": "a fine long password",
        "password_again": "a fine long password",
    }
    return platform.http(
        "POST",
        link,
        urlencode(form),
        headers={"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"},
    )[0]


@pytest.mark.promise("I-34")
def test_missing_keys_stop_the_start(fresh):
    platform = fresh().start()
    platform.stop()
    (platform.data / "keys.env").rename(platform.data / "keys.away")
    refused = platform.manage("up", check=False)
    assert refused.returncode != 0
    assert "SLIPWAY_SECRET_KEY" in refused.stderr


def test_a_port_in_use_and_a_folder_in_use_are_said_plainly(fresh):
    one = fresh("one").start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = fresh("two")
        other.run_module("config.keys")
        refused = other.manage("up", check=False, SLIPWAY_PORT=str(taken.getsockname()[1]))
    assert "can't be used" in refused.stderr
    assert "--port" in refused.stderr
    again = one.manage("up", check=False)
    assert "running on" in again.stderr
    assert str(one.process.pid) in again.stderr
    del one.env["SLIPWAY_PORT"]  # as in another terminal than the one it was started in
    assert one.manage("setuplink").stdout.startswith(f"http://localhost:{one.port}/setup/")


def test_instances_side_by_side_do_not_touch_each_other(fresh, tmp_path):
    folder = repository(tmp_path / "app", **FILES)
    one, two = fresh("one").start(), fresh("two").start()
    for platform in (one, two):
        platform.sign_up()
        platform.app("same-name")
        platform.push(folder, "same-name")
    one.stop()
    assert two.get("same-name") == (200, "hello from a dyno")
    two.stop(signal.SIGINT)


def test_stop_takes_the_dynos_along_and_the_next_start_brings_them_back(fresh, tmp_path):
    platform = fresh().start()
    platform.sign_up()
    platform.app("steady")
    platform.push(repository(tmp_path / "app", **FILES), "steady")
    pids = eventually(lambda: dyno_pids(platform))
    assert platform.stop() == 0
    for pid in pids:
        wait_gone(pid)
    started = time.monotonic()
    platform.start()
    assert time.monotonic() - started < 15
    eventually(lambda: platform.get("steady") == (200, "hello from a dyno"), seconds=20)


@pytest.mark.promise("I-19")
def test_after_a_kill_nothing_is_orphaned_and_everything_comes_back(fresh, tmp_path):
    platform = fresh().start()
    platform.sign_up()
    platform.app("steady")
    platform.push(repository(tmp_path / "app", **FILES), "steady")
    platform.api("PATCH", "/apps/steady/formation/web", {"quantity": 2})
    pids = eventually(lambda: len(dyno_pids(platform)) == 2 and dyno_pids(platform))
    platform.stop(signal.SIGKILL)
    for pid in pids:
        wait_gone(pid)
    platform.start()
    eventually(
        lambda: [d["state"] for d in platform.api("GET", "/apps/steady/dynos")] == ["up", "up"], seconds=30
    )
    assert platform.get("steady") == (200, "hello from a dyno")
    eventually(lambda: platform.audit() == [], seconds=30, every=1)


def test_tls_on_the_same_port_is_vouched_for_by_the_local_authority(fresh):
    import ssl

    platform = fresh().start()
    certificate = platform.manage("ca").stdout.strip()
    context = ssl.create_default_context(cafile=certificate)
    with socket.create_connection(("127.0.0.1", platform.port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(b"GET /sign-in/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert secure.recv(12) == b"HTTP/1.1 200"
