"""Backups: what is in them, what is not, and what restoring refuses."""

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from conductor.backups import archive, files, history
from conductor.backups import make as making
from conductor.backups.make import make, make_file
from conductor.backups.restore import check, restore
from conductor.models import Beat
from core.errors import Conflict, Refusal
from releases import actions, repositories
from releases.models import Slug
from tests.conftest import eventually
from tests.factories import make_app, make_release
from tests.platform.harness import commit, git, repository
from tests.promises.conftest import database_url

ROOT = Path(__file__).parents[2]
SECRET = "canary-5f1e0c-of-a-config-value"


@pytest.fixture
def data(tmp_path, settings):
    settings.DATA = tmp_path / "data"
    settings.BACKUP_DIR = str(tmp_path / "backups")
    settings.DATA.mkdir()
    (settings.DATA / "keys.env").write_text("SLIPWAY_SECRET_KEY=never\n")
    return settings.DATA


@pytest.fixture
def shop(transactional_db, data, alice):
    """An app with a secret, a slug, a source, a repository and a log."""
    app = make_app("shop", owner=alice, released=True)
    actions.set_config(app, {"SECRET": SECRET}, by=alice)
    for place, text in {
        f"slugs/archives/{Slug.objects.get().digest[7:]}.tar.zst": "slug",
        f"logs/app/{app.pk}/1.log": "lines",
        "buildpacks/mine/bin/detect": "#!/bin/sh\n",
        "caches/x/y": "made anew",
        "tls/ca.key": "PRIVATE",
    }.items():
        (data / place).parent.mkdir(parents=True, exist_ok=True)
        (data / place).write_text(text)
    (data / "buildpacks/mine/bin/detect").chmod(0o755)
    push(app, "one")
    return app


def push(app, text):
    """A commit in the app's repository."""
    work = repository(django_settings.DATA.parent / "work", index__html=text)
    commit(work, index__html=text)
    git(work, "push", "-q", "--force", str(repositories.ensure(app)), "HEAD:main")
    return git(work, "rev-parse", "HEAD")


def members(backup: bytes) -> dict[str, bytes]:
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(backup)).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def made(**options) -> bytes:
    to = io.BytesIO()
    make(to, **options)
    return to.getvalue()


@pytest.mark.promise("I-37")
@pytest.mark.promise("I-38")
def test_a_backup_holds_what_cannot_be_made_anew_and_no_secret(shop):
    found = members(made())
    kinds = {name.split("/")[0] for name in found}
    assert {"backup.json", "manifest.json", "database", "repos", "slugs", "logs", "buildpacks"} == kinds
    everything = b"".join(found.values())
    assert SECRET.encode() not in everything
    for key in django_settings.SLIPWAY_KEYS:
        assert key.partition(":")[2].encode() not in everything
    assert django_settings.SECRET_KEY.encode() not in everything and b"PRIVATE" not in everything
    assert json.loads(found["backup.json"])["keys"] == ["test"]
    assert "logs" not in {name.split("/")[0] for name in members(made(logs=False))}


def test_what_was_cut_short_or_altered_is_refused(shop):
    whole = made()
    assert check(io.BytesIO(whole)).counts["repos"] == 1
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        with pytest.raises(archive.Damaged):
            check(io.BytesIO(whole[:cut]))
    with pytest.raises(archive.Damaged):
        check(io.BytesIO(b"no backup at all" * 1000))
    packer = zstandard.ZstdCompressor()
    for name, change in {"slug": b"slip", "lines": b"limes"}.items():
        plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(whole)).read()
        with pytest.raises(archive.Damaged, match="is not what it was"):
            check(io.BytesIO(packer.compress(plain.replace(name.encode() + b"\0" * 20, change + b"\0" * 20))))


def test_members_that_lead_elsewhere_are_refused(tmp_path):
    for name, kind in {
        "../outside": tarfile.REGTYPE,
        "/outside": tarfile.REGTYPE,
        "link": tarfile.SYMTYPE,
    }.items():
        to = io.BytesIO()
        with archive.writing(to) as writer:
            writer.add_text(archive.HEAD, "{}")
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            writer._tar.addfile(member)
        with pytest.raises(archive.Damaged, match="members that no backup has"):
            archive.unpack(io.BytesIO(to.getvalue()), tmp_path / "in")
    assert not (tmp_path / "outside").exists()


def test_a_half_made_file_is_never_under_its_name(shop, tmp_path, monkeypatch):
    monkeypatch.setenv("FAILPOINTS", "backup.snapshot=error")
    with pytest.raises(Exception, match=r"backup\.snapshot"):
        make_file(tmp_path / "one")
    monkeypatch.delenv("FAILPOINTS")
    assert (
        list(tmp_path.glob("*one*")) == [] and list((shop and django_settings.DATA / "tmp").iterdir()) == []
    )
    make_file(tmp_path / "one")
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    assert history.last()["file"] == str(tmp_path / "one")


def test_one_backup_at_a_time(shop, monkeypatch):
    monkeypatch.setenv("FAILPOINTS", "backup.snapshot=sleep:1.5")
    first = threading.Thread(target=made)
    first.start()
    eventually(lambda: list((django_settings.DATA / "tmp").glob("backup-*")))
    with pytest.raises(Conflict, match="Another backup"):
        made()
    first.join()


@pytest.mark.promise("I-48")
def test_what_is_deleted_or_pushed_during_a_backup_does_no_harm(shop, monkeypatch):
    slug = next((django_settings.DATA / "slugs/archives").iterdir())
    accepted = git(repositories.path(shop), "rev-parse", "main")
    taken, go_on, results = threading.Event(), threading.Event(), []

    def reach(name):
        if name == "backup.snapshot":
            taken.set()
            assert go_on.wait(20)

    monkeypatch.setattr("core.failpoints.reach", reach)
    backup = threading.Thread(target=lambda: results.append(made()))
    backup.start()
    assert taken.wait(20)
    slug.unlink()
    ahead = push(shop, "two")  # its build is in no snapshot yet
    go_on.set()
    backup.join()
    found = members(results[0])
    assert f"slugs/archives/{slug.name}" in found
    bundle = django_settings.DATA.parent / "x.bundle"
    bundle.write_bytes(found[f"repos/{shop.pk}.bundle"])
    heads = git(bundle.parent, "bundle", "list-heads", str(bundle))
    assert accepted in heads and ahead not in heads


def test_a_repository_whose_new_head_was_built_is_taken_again(shop, monkeypatch, alice):
    bundle = files.bundle

    def late(name, target):
        """As if the push had come between the bundle and the snapshot."""
        found = bundle(name, target)
        if not pushed:
            pushed.append(push(shop, "two"))
            release = make_release(shop)
            source = release.builds.create(app=shop, status="succeeded", source=make_source(shop, pushed[0]))
            assert source
        return found

    pushed = []
    monkeypatch.setattr(files, "bundle", late)
    found = members(made())
    place = django_settings.DATA.parent / "x.bundle"
    place.write_bytes(found[f"repos/{shop.pk}.bundle"])
    assert pushed[0] in git(place.parent, "bundle", "list-heads", str(place))


def make_source(app, sha):
    return app.sources.create(commit=sha, branch="main")


# --- restoring, in a process of its own: it replaces the database -----------------------------------------------------


def manage(data, *arguments, **extra):
    keys = ",".join(django_settings.SLIPWAY_KEYS)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SLIPWAY_DATA": str(data),
        "SLIPWAY_KEYS": keys,
        "DATABASE_URL": f"sqlite:///{data / 'db.sqlite3'}",
        **extra,
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
    )


sqlite_only = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="restores into SQLite")


@sqlite_only
def test_it_is_restored_once_and_over_other_data_only_when_told(shop, tmp_path):
    file, other = tmp_path / "one.tar.zst", tmp_path / "other"
    make_file(file)
    other.mkdir()
    done = manage(other, "restore", str(file))
    assert done.returncode == 0, done.stderr
    assert (other / "buildpacks/mine/bin/detect").stat().st_mode & 0o100
    assert (other / f"logs/app/{shop.pk}/1.log").read_text() == "lines"
    assert git(other / "repos" / f"{shop.pk}.git", "rev-parse", "main")
    again = manage(other, "restore", str(file))
    assert again.returncode == 1 and "--over" in again.stderr
    over = manage(other, "restore", "--over", str(file))
    assert over.returncode == 0, over.stderr
    assert list(other.glob("before-restore-*/slugs/archives/*.tar.zst"))
    assert list((other / "tmp").iterdir()) == []


@sqlite_only
@pytest.mark.promise("I-38")
def test_other_keys_are_noticed_before_anything_is_changed(shop, tmp_path):
    file, other = tmp_path / "one.tar.zst", tmp_path / "other"
    make_file(file)
    other.mkdir()
    for keys, words in {
        "else:" + "A" * 43 + "=": "is not in SLIPWAY_KEYS",
        "test:" + "A" * 43 + "=": "right names",
    }.items():
        done = manage(other, "restore", str(file), SLIPWAY_KEYS=keys)
        assert done.returncode == 1 and words in done.stderr, done.stderr
    assert not (other / "repos").exists() and not tables(other / "db.sqlite3")


def tables(file):
    with contextlib.closing(sqlite3.connect(file)) as database:
        return database.execute("SELECT name FROM sqlite_master").fetchall()


def test_a_newer_or_foreign_backup_is_refused(shop, monkeypatch):
    head = making._head()
    for change, words in {
        "format": ({"format": 99}, "reads format 1"),
        "database": ({"database": "oracle"}, "same kind"),
        "migrations": ({"migrations": [["apps", "9999_future"]]}, "newer than this one"),
    }.values():
        monkeypatch.setattr(making, "_head", lambda change=change: {**head, **change})
        backup = made()
        monkeypatch.setattr("conductor.backups.restore._demand_empty", lambda: None)
        with pytest.raises(Refusal, match=words):
            restore(io.BytesIO(backup))
    assert repositories.path(shop).exists()


def test_nothing_is_restored_while_one_of_several_conductors_runs(shop, settings):
    settings.DATABASE_URL, settings.REDIS_URL = "postgres://somewhere/else", "redis://somewhere/else"
    settings.ROUTER_URL, settings.ENGINE_URL = "haproxy:///nowhere", "swarm+unix:///nowhere"
    backup = made()
    beat = Beat.objects.create(hostname="else", pid=1, told={})
    with pytest.raises(Conflict, match="A conductor is running"):
        restore(io.BytesIO(backup), over=True)
    Beat.objects.filter(pk=beat.pk).update(at=timezone.now() - timedelta(minutes=5))
    with pytest.raises(Conflict, match="already"):
        restore(io.BytesIO(backup))


def test_the_commands_say_what_is_wrong(shop, tmp_path):
    (tmp_path / "there").write_text("something else")
    with pytest.raises(CommandError, match="there already"):
        call_command("backup", str(tmp_path / "there"))
    with pytest.raises(CommandError, match="not a backup"):
        call_command("restore", str(tmp_path / "there"), "--check")
    with pytest.raises(CommandError, match="already"):
        call_command("restore", str(tmp_path / "there"))


def test_it_goes_through_pipes(shop, tmp_path):
    with (tmp_path / "piped").open("wb") as file:
        done = subprocess.run(
            [sys.executable, "manage.py", "backup", "-"],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "config.settings",
                "SLIPWAY_DATA": str(django_settings.DATA),
                "SLIPWAY_KEYS": ",".join(django_settings.SLIPWAY_KEYS),
                "DATABASE_URL": database_url(),
            },
            stdout=file,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert check(io.BytesIO((tmp_path / "piped").read_bytes())).counts["repos"] == 1
