"""What bin/install writes, and what compose.yaml opens and what not."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder():
    """Where to install to; its path must be short, since there are sockets below."""
    made = Path(tempfile.mkdtemp(prefix="srv-", dir="/tmp"))
    yield made / "slipway"
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def install(folder):
    if os.getuid() != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("bin/install wants to be root")

    def run(*arguments):
        return subprocess.run(
            [ROOT / "bin" / "install", "--dir", folder, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def read(file):
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if line and line[0] != "#")


@pytest.mark.promise("I-34")
def test_keys_are_made_once_for_the_platform_alone_and_shown_to_nobody(install, folder):
    first = install("--only-files", "--domain", "slipway.example.com", "--apps-domain", "apps.example.net")
    assert first.returncode == 0, first.stderr
    secrets = folder / "secrets" / "slipway.env"
    found = read(secrets)
    assert (secrets.stat().st_mode & 0o777, secrets.stat().st_uid) == (0o400, 10001)
    assert len(found["SLIPWAY_SECRET_KEY"]) >= 40 and found["SLIPWAY_KEYS"].startswith("k1:")
    assert not any(value in first.stdout + first.stderr for value in found.values())
    written = "".join(
        path.read_text() for path in (folder / ".env", folder / "settings.env", folder / "compose.yaml")
    )
    assert not any(value in written for value in found.values())
    assert read(folder / "settings.env")["SLIPWAY_URL"] == "https://slipway.example.com"
    (folder / "settings.env").write_text("SLIPWAY_URL=https://mine.example.com\n")
    assert install("--only-files").returncode == 0
    assert read(secrets) == found
    assert read(folder / "settings.env")["SLIPWAY_URL"] == "https://mine.example.com"
    assert (folder / "data" / "router").stat().st_mode & 0o777 == 0o700


def test_odd_words_are_refused_before_anything_is_written(install, folder):
    for arguments, words in {
        ("--domain", "a b"): "no host name",
        ("--domain", "x.org"): "--apps-domain is missing",
        ("--domain", "x.org", "--apps-domain", "y.org", "--email", "a$(id)@x"): "no e-mail address",
        ("--http-port", "70000"): "1 to 65535",
        ("--nonsense",): "does not know",
        ("--upgrade",): "There is no Slipway",
        ("--rollback",): "There is no Slipway",
    }.items():
        done = install(*arguments)
        assert done.returncode == 1 and words in done.stderr, (arguments, done.stderr)
    assert not folder.exists()
    done = subprocess.run([ROOT / "bin" / "install", "--dir", "/tmp/a b"], capture_output=True, text=True)
    assert done.returncode == 1 and "letters, digits" in done.stderr


def services():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


def test_only_conductors_have_the_engines_socket_and_only_the_router_listens():
    found = services()
    with_socket = {
        name for name, one in found.items() if any("docker.sock" in each for each in one["volumes"])
    }
    assert with_socket == {"conductor-1", "conductor-2"}
    assert {name for name, one in found.items() if "ports" in one} == {"registry"}
    assert found["registry"]["ports"] == ["${REGISTRY_ADDRESS:-127.0.0.1:5000}:5000"]
    on_the_host = {name for name, one in found.items() if one.get("network_mode") == "host"}
    assert on_the_host == {"conductor-1", "conductor-2", "router"}
    assert "listen_addresses=" in found["postgres"]["command"] and "0" in found["redis"]["command"]
    assert "secrets" not in found["router"], "it has routes and certificates, no keys"


def test_every_service_is_restarted_bounded_in_its_log_and_unprivileged():
    for name, one in services().items():
        assert one["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert one["logging"]["options"]["max-size"], name
        assert not one.get("privileged"), name
        if "SLIPWAY_IMAGE" in one["image"]:
            assert one["cap_drop"] == ["ALL"] and one["read_only"], name
            assert one["security_opt"] == ["no-new-privileges:true"], name
        if name not in ("migrate", "router", "registry"):
            assert one["healthcheck"]["test"][0] == "CMD", name


def test_the_image_leaves_out_what_is_secret_or_only_for_tests():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", "data", "secrets", "*.env", "tests"} <= set(ignored)
    assert "USER 10001" in (ROOT / "Dockerfile").read_text()
