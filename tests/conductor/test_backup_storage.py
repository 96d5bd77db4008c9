"""The files of storages in backups: all that apps made comes back as it was, and nothing that they made leads anywhere else."""

import io
import os
import stat
import tarfile

import pytest

from conductor.backups import archive, volumes
from conductor.backups.make import make, make_file
from engine.volumes import Volumes
from tests.conductor.test_backups import data, made, manage, members, shop, sqlite_only  # noqa: F401

ID, OTHER = "6a3e9f0e-9a4c-4a57-9d27-5f6f3c1d2b10", "0b0f3a52-52a5-4a0e-8c1b-1a2b3c4d5e6f"
CANARY = "outside-of-every-volume-8842"


@pytest.fixture
def uploads(data):  # noqa: F811
    """A volume with what apps may make."""
    place = Volumes(data / "volumes").make(ID)
    (place / "deep/er").mkdir(parents=True)
    (place / "deep/er/picture.png").write_bytes(b"\x89PNG" * 1000)
    (place / "empty").mkdir(mode=0o750)
    (place / "empty").chmod(0o750)
    (place / "run.sh").write_text("#!/bin/sh\n")
    (place / "run.sh").chmod(0o755)
    os.link(place / "run.sh", place / "run-again.sh")
    (data / "secret.txt").write_text(CANARY)
    (place / "leads-out").symlink_to(data / "secret.txt")
    (place / "leads-out-too").symlink_to("../..")
    (place / os.fsdecode(b"odd \xff\n name")).write_text("odd")
    os.mkfifo(place / "pipe")
    os.utime(place / "deep", (1_600_000_000, 1_600_000_000))
    if os.geteuid() == 0:
        os.chown(place / "run.sh", 40001, 40002)
    return place


def described(place):
    """Everything about what is in a folder, but when and where."""
    found = {}
    for folder, folders, files in os.walk(place):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            one = os.lstat(path)
            if stat.S_ISFIFO(one.st_mode):
                continue
            inside = os.readlink(path) if stat.S_ISLNK(one.st_mode) else ""
            if stat.S_ISREG(one.st_mode):
                with open(path, "rb") as file:
                    inside = file.read()
            links = one.st_nlink if stat.S_ISREG(one.st_mode) else 0
            found[os.path.relpath(path, place)] = (
                one.st_mode,
                one.st_uid,
                one.st_gid,
                links,
                int(one.st_mtime),
                inside,
            )
    return found


@sqlite_only
def test_what_apps_keep_comes_back_as_it_was(shop, uploads, tmp_path):  # noqa: F811
    Volumes(uploads.parent).make(OTHER)
    file, other = tmp_path / "one.tar.zst", tmp_path / "other"
    taken = make_file(file).storage
    assert (taken.volumes, taken.files, taken.left_out) == (2, 3, [f"{ID}/pipe"])
    assert taken.bytes == 4000 + len("#!/bin/sh\n") + len("odd")
    other.mkdir()
    done = manage(other, "restore", str(file))
    assert done.returncode == 0, done.stderr
    assert "2 storages" in done.stdout
    back = other / "volumes" / ID
    assert described(back) == described(uploads)
    assert stat.S_IMODE(back.stat().st_mode) == 0o777 and stat.S_IMODE(back.parent.stat().st_mode) == 0o700
    assert (other / "volumes" / OTHER).is_dir()
    assert list((other / "tmp").iterdir()) == []


@sqlite_only
def test_a_backup_without_them_leaves_those_that_are_there(shop, uploads, tmp_path):  # noqa: F811
    without, whole, other = tmp_path / "without.tar.zst", tmp_path / "whole.tar.zst", tmp_path / "other"
    assert make_file(without, storage=False).storage.volumes == 0
    make_file(whole)
    other.mkdir()
    assert manage(other, "restore", str(whole)).returncode == 0
    (other / "volumes" / ID / "later.txt").write_text("later")
    over = manage(other, "restore", "--over", str(without))
    assert over.returncode == 0, over.stderr
    assert (other / "volumes" / ID / "later.txt").read_text() == "later"
    over = manage(other, "restore", "--over", str(whole))
    assert over.returncode == 0, over.stderr
    assert not (other / "volumes" / ID / "later.txt").exists()
    (aside,) = other.glob(f"before-restore-*/volumes/{ID}/later.txt")
    assert aside.read_text() == "later"


def test_links_are_kept_and_never_followed(shop, uploads):  # noqa: F811
    (uploads / "folder").symlink_to(uploads.parent.parent / "buildpacks")
    found = members(made())
    assert [name for name in found if name.startswith("volumes/")] == [f"volumes/{ID}/00000001.part"]
    assert CANARY.encode() not in b"".join(found.values())
    with tarfile.open(fileobj=io.BytesIO(found[f"volumes/{ID}/00000001.part"])) as inner:
        assert not [name for name in inner.getnames() if name.startswith("folder/")]
        assert inner.getmember("run.sh").islnk() != inner.getmember("run-again.sh").islnk()
    assert not any(name.startswith("volumes/") for name in members(made(storage=False)))


def test_a_large_one_is_cut_into_pieces_and_joined_again(shop, uploads, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(volumes, "PART_BYTES", 10_000)
    (uploads / "large").write_bytes(os.urandom(95_000))
    backup = io.BytesIO()
    make(backup)
    backup.seek(0)
    archive.unpack(backup, tmp_path / "staged")
    pieces = tmp_path / "staged/volumes"
    sizes = [piece.stat().st_size for piece in sorted((pieces / ID).iterdir())]
    assert len(sizes) > 9 and set(sizes[:-1]) == {10_000}
    assert volumes.put_back(pieces, Volumes(tmp_path / "back")) == []
    assert described(tmp_path / "back" / ID) == described(uploads)
    assert list((pieces / ID).iterdir()) == [], "what was read is gone: the room is needed once"


def test_a_file_that_shrinks_or_goes_while_it_is_read_does_no_harm(shop, uploads, monkeypatch, tmp_path):  # noqa: F811
    (uploads / "a-file-that-shrinks").write_bytes(b"x" * 50_000)  # the first that is read
    (uploads / "goes").write_text("goes")
    reading = volumes._Whole.read

    def cut(self, size=-1):
        (uploads / "a-file-that-shrinks").write_bytes(b"x" * 10)
        (uploads / "goes").unlink(missing_ok=True)
        return reading(self, size)

    monkeypatch.setattr(volumes._Whole, "read", cut)
    backup = io.BytesIO()
    assert make(backup).storage.volumes == 1
    backup.seek(0)
    archive.unpack(backup, tmp_path / "staged")
    assert volumes.put_back(tmp_path / "staged/volumes", Volumes(tmp_path / "back")) == []
    assert (tmp_path / "back" / ID / "a-file-that-shrinks").read_bytes() == b"x" * 10 + bytes(49_990)
    assert not (tmp_path / "back" / ID / "goes").exists()
    assert (tmp_path / "back" / ID / "run.sh").read_text() == "#!/bin/sh\n"


def hostile(folder, *entries):
    """A volume's tar as nobody but an attacker makes it."""
    (folder / ID).mkdir(parents=True)
    with tarfile.open(folder / ID / "00000001.part", "w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content in entries:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, content
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            member.linkname = "" if kind == tarfile.REGTYPE else content
            tar.addfile(member, io.BytesIO(content.encode()))
    return folder


def test_nothing_is_made_outside_of_a_volume(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    staged = hostile(
        tmp_path / "one",
        ("way", tarfile.SYMTYPE, str(outside)),
        ("way/in.txt", tarfile.REGTYPE, "in"),
        ("way", tarfile.REGTYPE, "over"),
        ("linked", tarfile.LNKTYPE, "way/x"),
        ("fine.txt", tarfile.REGTYPE, "fine"),
    )
    lost = volumes.put_back(staged, Volumes(tmp_path / "back"))
    assert lost == [f"{ID}/way/in.txt", f"{ID}/way", f"{ID}/linked"]
    assert list(outside.iterdir()) == []
    assert (tmp_path / "back" / ID / "fine.txt").read_text() == "fine"
    staged = hostile(tmp_path / "two", ("../escaped.txt", tarfile.REGTYPE, "out"))
    with pytest.raises(tarfile.TarError, match="no path of a volume"):
        volumes.put_back(staged, Volumes(tmp_path / "back"))
    assert not (tmp_path / "back/escaped.txt").exists()


def test_a_name_that_is_no_volume_s_is_refused(tmp_path):
    (tmp_path / "staged/elsewhere").mkdir(parents=True)
    with pytest.raises(ValueError, match="UUID"):
        volumes.put_back(tmp_path / "staged", Volumes(tmp_path / "back"))


def test_where_owners_are_lost_apps_may_still_use_what_was_closed(shop, uploads, tmp_path, monkeypatch):  # noqa: F811
    (uploads / "closed.txt").write_text("closed")
    (uploads / "closed.txt").chmod(0o600)
    backup = io.BytesIO()
    make(backup)
    backup.seek(0)
    archive.unpack(backup, tmp_path / "staged")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # as in compose.yaml
    assert volumes.put_back(tmp_path / "staged/volumes", Volumes(tmp_path / "back")) == []
    back = tmp_path / "back" / ID
    assert stat.S_IMODE((back / "closed.txt").stat().st_mode) == 0o666
    assert stat.S_IMODE((back / "empty").stat().st_mode) == 0o777
    assert (back / "run.sh").stat().st_uid == os.getuid()
