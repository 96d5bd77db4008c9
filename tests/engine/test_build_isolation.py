"""What a build can see (promise I-12), and what its output shows (I-39)."""

import base64
import os
from urllib.parse import quote

import pytest

from core.errors import BuildFailed
from engine.builder.output import Output
from tests.engine.workshop import Workshop

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: without it all builds share one user")


@pytest.fixture
def shop(tmp_path):
    return Workshop(tmp_path / "data")


@pytest.mark.promise("I-12")
def test_the_platforms_environment_stays_outside(shop, monkeypatch):
    monkeypatch.setenv("SLIPWAY_SECRET_KEY", "top-secret-key")
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    shop.look(
        "env; echo; tr '\\0' '\\n' < /proc/1/environ; cat /proc/1/cmdline", env={"MINE": "only in a file"}
    )
    assert "top-secret-key" not in shop.output
    assert "DATABASE_URL" not in shop.output
    assert "MINE=" not in shop.output
    names = {line.split("=")[0] for line in shop.output.splitlines() if line.partition("=")[0].isupper()}
    assert {"PATH", "HOME", "STACK", "TMPDIR"} <= names
    assert not {name for name in names if name.startswith(("SLIPWAY", "DJANGO"))}


@pytest.mark.promise("I-12")
def test_the_platforms_data_is_not_there(shop):
    (shop.root / "keys.env").write_text("SLIPWAY_KEYS=secret")
    shop.build({"Procfile": "web: x"}, app="neighbour")
    (shop.root / "caches/neighbour/theirs").write_text("theirs")
    shop.look(
        f"ls -A {shop.root} {shop.root}/caches; cat {shop.root}/keys.env; find {shop.root} -name theirs; true"
    )
    listed = shop.output.split("PATH=")[1].splitlines()[1:]
    assert {"caches", "work", "app"} <= set(listed)
    assert not {"keys.env", "slugs", "neighbour", "theirs", "SLIPWAY_KEYS=secret"} & set(listed)
    assert (shop.root / "keys.env").exists()


@pytest.mark.promise("I-12")
def test_other_processes_are_not_there(shop):
    shop.look("for p in /proc/[0-9]*; do echo pid $(basename $p); done; kill -9 -1; true")
    pids = [int(line.split()[1]) for line in shop.output.splitlines() if line.startswith("pid ")]
    assert pids
    assert max(pids) < 1000
    assert os.getpid() not in pids


@AS_ROOT
@pytest.mark.promise("I-12")
def test_it_runs_as_the_apps_own_user(shop):
    shop.look(
        "id -u; id -G; touch /usr/own /etc/own && echo wrote; cat /etc/shadow; grep -c . /proc/1/mem; true"
    )
    lines = shop.output.splitlines()
    assert lines.count("30007") == 2
    assert "wrote" not in lines
    assert not [line for line in lines if line.startswith("root:")]


@AS_ROOT
@pytest.mark.promise("I-12")
def test_what_it_makes_for_the_platform_to_find_is_not_followed(shop, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    shop.look(
        f"cd $(dirname $1) && ln -s {victim} slug.tar.zst; ln -s {tmp_path} $2/python; ln -s {victim} $2/kept.json"
    )
    assert victim.read_text() == "precious"
    assert victim.stat().st_uid == 0
    with pytest.raises(BuildFailed, match="File exists"):
        shop.build({"requirements.txt": "", "Procfile": "web: x"})
    assert victim.stat().st_uid == 0
    assert tmp_path.stat().st_uid == 0
    assert victim.exists()


def test_temporary_files_are_its_own(shop):
    shop.look("echo mine > /tmp/left-behind; ls /tmp")
    assert "left-behind" in shop.output
    assert not os.path.exists("/tmp/left-behind")


@pytest.mark.promise("I-39")
def test_config_values_are_masked(shop):
    secret, odd = "s3cr3t-value", "p@ss word/ü"
    forms = [secret, base64.b64encode(secret.encode()).decode(), odd, quote(odd, safe="")]
    script = "\n".join(f"printf '%s\\n' 'is {form}.'" for form in forms)
    shop.look(script, env={"A": secret, "B": odd, "C": "true", "D": "web"})
    assert shop.output.count("is ********") == 4
    assert secret not in shop.output
    assert "true" not in "********"


@pytest.mark.promise("I-39")
def test_a_value_of_several_lines_is_masked_line_by_line():
    lines = []
    output = Output(lines.append, {"KEY": "-----BEGIN\nabcdefgh\n-----END"}, 10_000)
    output.feed(b"x -----BEGIN\nabcdefgh\nend\n")
    assert lines == [b"x ********", b"********", b"end"]


@pytest.mark.promise("I-39")
def test_a_value_across_reads_and_cuts_is_masked():
    lines, secret = [], b"hidden-away"
    output = Output(lines.append, {"KEY": secret.decode()}, 10**6)
    data = (b"y" * 9_995 + secret) * 8
    for start in range(0, len(data), 997):
        output.feed(data[start : start + 997])
    output.finish()
    assert secret not in b"".join(lines)
    assert max(map(len, lines)) <= 10_000
    assert b"".join(lines).count(b"y") == 9_995 * 8
