"""Archives are hostile: what is refused, and what comes out."""

import gzip
import io
import os
import stat
import tarfile

import pytest
import zstandard

from core.errors import BuildFailed
from engine.builder.unpack import unpack
from tests.engine.workshop import entry, tar

LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE


def put(tmp_path, data, **options):
    into = tmp_path / "into"
    into.mkdir()
    limits = {"max_bytes": 10_000_000, "max_files": 1000, **options}
    return into, unpack(io.BytesIO(data), into, **limits)


@pytest.mark.parametrize("compress", [lambda data: data, gzip.compress, zstandard.compress])
def test_it_unpacks_each_kind(tmp_path, compress):
    into, total = put(tmp_path, compress(tar({"a/b.txt": "hello", "run": "#!/bin/sh\n"})))
    assert (into / "a/b.txt").read_text() == "hello"
    assert total == 15
    assert stat.S_IMODE((into / "run").stat().st_mode) == 0o755
    assert stat.S_IMODE((into / "a/b.txt").stat().st_mode) == 0o644


REFUSED = {
    "absolute name": ({"x": entry("/etc/passwd", tarfile.REGTYPE)}, "a name that leaves it"),
    "name with ..": ({"x": entry("a/../../x", tarfile.REGTYPE)}, "a name that leaves it"),
    "absolute link": ({"x": entry("x", LINK, linkname="/etc")}, "a link that leaves it: x -> /etc"),
    "link with ..": ({"x": entry("a/x", LINK, linkname="../../x")}, "a link that leaves it"),
    "link down and up": ({"x": entry("x", LINK, linkname="a/../../x")}, "a link that leaves it"),
    "hard link out": ({"x": entry("x", HARD, linkname="../../etc/passwd")}, "a name that leaves it"),
    "hard link to nothing": ({"x": entry("x", HARD, linkname="absent")}, "a link to nothing in it"),
    "device": ({"x": entry("x", tarfile.CHRTYPE)}, "a device or pipe: x"),
    "pipe": ({"x": entry("x", tarfile.FIFOTYPE)}, "a device or pipe: x"),
    "link, then through it": (
        {"x": entry("d", LINK, linkname="sub"), "d/file": "text"},
        "both as a link and as a folder",
    ),
    "file, then below it": ({"d": "text", "d/file": "text"}, "both as a file and as a folder"),
    "many files": ({f"f{number}": "" for number in range(1001)}, "more than 1,000 files"),
    "long name": ({"/".join(["d" * 200] * 20): "x"}, "too long or not a name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses(tmp_path, case):
    files, reason = REFUSED[case]
    with pytest.raises(BuildFailed, match=reason):
        put(tmp_path, tar(files))
    assert not (tmp_path / "x").exists()


def test_a_bomb_stops_early(tmp_path):
    bomb = gzip.compress(tar({"zeros": bytes(50_000_000)}))
    assert len(bomb) < 100_000
    with pytest.raises(BuildFailed, match=r"unpacks to more than 10 MB"):
        put(tmp_path, bomb)
    assert sum(path.stat().st_size for path in (tmp_path / "into").iterdir()) <= 10_000_000


def test_endless_headers_stop_too(tmp_path):
    name = entry("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=50_000_000)
    with pytest.raises(BuildFailed, match="name or header that is too long"):
        put(tmp_path, tar({"x": name}))


def test_a_sparse_file_is_refused(tmp_path):
    sparse = tarfile.TarInfo("sparse")
    sparse.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": "1099511627776",
    }
    with pytest.raises(BuildFailed, match=r"damaged|sparse"):
        put(tmp_path, tar({"x": sparse}))


@pytest.mark.parametrize(
    "data",
    [b"not a tar" * 200, gzip.compress(b"x" * 5000)[:-20], b"\x1f\x8bnope"],
    ids=["no archive", "cut off", "no gzip"],  # not the data: a gzip header has the time in it
)
def test_a_damaged_archive_is_told(tmp_path, data):
    with pytest.raises(BuildFailed, match="damaged or not a tar archive"):
        put(tmp_path, data)


def test_an_archive_that_ends_too_early_is_told(tmp_path):
    with pytest.raises(BuildFailed, match=r"damaged|ends in the middle"):
        put(tmp_path, tar({"a": "x" * 100_000})[:50_000])


def test_links_inside_are_kept(tmp_path):
    files = {"lib/real": "text", "x": entry("bin/tool", LINK, linkname="../lib/real")}
    into, _ = put(tmp_path, tar(files))
    assert (into / "bin/tool").read_text() == "text"


def test_set_uid_bits_are_dropped(tmp_path):
    into, _ = put(tmp_path, tar({"x": entry("tool", tarfile.REGTYPE, mode=0o6755)}))
    assert stat.S_IMODE((into / "tool").stat().st_mode) == 0o755


def test_names_that_are_not_utf8_survive(tmp_path):
    into, _ = put(tmp_path, tar({"caf\udce9.txt": "noir"}))
    assert os.listdir(os.fsencode(into)) == [b"caf\xe9.txt"]


def test_the_last_of_two_files_with_one_name_wins(tmp_path):
    out = tar({"a": "first"})[:1024] + tar({"a": "second"})
    into, _ = put(tmp_path, out)
    assert (into / "a").read_text() == "second"
